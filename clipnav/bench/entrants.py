"""Entrants: the agents that the bench runs, their digests, and what they are allowed to read."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from operator import getitem
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal, cast

import numpy as np

from clipnav.agents.acting.rollout import Agent
from clipnav.agents.specs import AgentSpec, named_agent
from clipnav.bench.suites import digest_of
from clipnav.envs.base.infos import LazyInfo
from clipnav.envs.base.vector_env import Observation
from clipnav.storage import file_sha256
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json_object
from clipnav.storage.outputs import CONFIG, folder_name
from clipnav.storage.shared_runs import SCHEME, local_run
from clipnav.storage.spec_table import named_object

# Files of a run that do not change how it acts.
_LOGS = ("trainer.pt", "metrics.jsonl", "results.json", "scores.json", "README.md")
_LOG_SUFFIXES = (".lock", ".log", ".png", ".svg", ".pyc")


class RuleError(UserError):
    """An agent read something that the suite does not allow."""


@dataclass(frozen=True)
class BenchTask:
    """What an agent of another package knows before its first step.

    Attributes:
        name: Name of the part of the suite, such as "r2r/val_unseen".
        num_actions: Number of actions; 0 stops.
        num_envs: Number of rows of a batch.
        max_steps: Number of actions after which a walk is cut off.
        vocabulary: Words by token id.
        observation_space: Space of the observations of a batch.
        angle_feature_size: Number of last entries of a feature that are its direction.
    """

    name: str
    num_actions: int
    num_envs: int
    max_steps: int
    vocabulary: tuple[str, ...]
    observation_space: Any
    angle_feature_size: int


MakeAgent = Callable[[BenchTask, int], Agent]


@dataclass(frozen=True)
class Entrant:
    """An agent that enters the bench.

    Attributes:
        text: As it was given: a run's folder, package.module:NAME or vlm:URL.
        kind: "run" for a run of clipnav, "package" for a function of another package, "vlm" for a
            model behind a server.
        digest: SHA-256 of the files of the agent, or of the address and name of a model.
        run: Folder of the run.
        row: Row of the agent of a run, named as package.module:SPEC@RUN.
        make: Function that makes the agent of a package.
        url: Address of the server.
        part: Part that it enters, or the beginning of its name before "/"; "" for all.
    """

    text: str
    kind: Literal["run", "package", "vlm"]
    digest: str
    run: Path | None = None
    row: AgentSpec | None = None
    make: MakeAgent | None = None
    url: str = ""
    part: str = ""

    def enters(self, part: str) -> bool:
        """Return whether it enters a part of a suite."""
        return self.part in ("", part, part.partition("/")[0])

    @property
    def trained_on(self) -> dict[str, tuple[str, ...]]:
        """Worlds, datasets and splits that the settings of a run name; empty if they do not."""
        if self.run is None:
            return {}
        settings = read_json_object(self.run / CONFIG, "name another run")
        names = {"worlds": settings.get("world"), "datasets": settings.get("dataset")}
        if not all(isinstance(name, str) for name in names.values()):
            return {}
        return {**{what: (str(name),) for what, name in names.items()}, "splits": ("train",)}

    @property
    def name(self) -> str:
        """Name in results unless --name gives one."""
        if self.run is not None:
            cached = re.fullmatch(r"models--(.+)--(.+)", self.run.parent.parent.name)
            return "/".join(cached.groups()) if cached else folder_name(self.run)
        return self.text.rpartition(":")[2] if self.kind == "package" else self.text


def entrant_of(text: str, model: str | None = None) -> Entrant:
    """Return the agent that --agent names.

    Args:
        text: RUN, hf:OWNER/NAME, package.module:NAME, package.module:SPEC@RUN or vlm:URL, after
            PART= if it enters one part only.
        model: Name of the model on the server.
    """
    part, equals, rest = text.partition("=")
    if equals and not Path(text).exists() and "://" not in part:
        return replace(entrant_of(rest, model), part=part)
    if text.startswith("vlm:"):
        url = text.removeprefix("vlm:")
        if not model:
            raise UserError(f"--agent {text}: name the model on the server with --model")
        return Entrant(f"vlm:{url}", "vlm", digest_of({"url": url, "model": model}), url=url)
    folder = _run_folder(text)
    if folder.exists():
        return Entrant(text, "run", _run_digest(folder), run=folder)
    name, at, run = text.partition("@")
    module, colon, _ = name.partition(":")
    if not colon:
        raise FileNotFoundError(
            f"--agent {text}: no such run; name the folder of a run, hf:OWNER/NAME, "
            "package.module:NAME or vlm:URL"
        )
    found = named_object(name)
    package = _package_digest(module)
    if isinstance(found, AgentSpec):
        if not at:
            raise UserError(f"--agent {text}: is a row; name its run, too: {name}@RUN")
        folder = _run_folder(run)
        digest = digest_of([package, _run_digest(folder)])
        return Entrant(text, "run", digest, run=folder, row=named_agent(name))
    if not callable(found):
        raise UserError(f"--agent {text}: is neither an AgentSpec nor a function of task and seed")
    digest = digest_of([package, name])  # one package may have several agents
    return Entrant(text, "package", digest, make=cast(MakeAgent, found))


def _run_folder(run: str) -> Path:
    """Return the folder of a run, which is downloaded if it is an address."""
    return local_run(run) if run.startswith(SCHEME) else Path(run)


def _run_digest(run: Path) -> str:
    """Return the SHA-256 of the files of a run that determine how it acts."""
    if not (run / CONFIG).is_file():
        raise FileNotFoundError(f"{run}: is not a run, it has no {CONFIG}; name a run's folder")
    return _files_digest(run, lambda path: path.name not in _LOGS and "tfevents" not in path.name)


def _package_digest(module: str) -> str:
    """Return the SHA-256 of all files of the top-level package of a module."""
    package = resolve_name(module.partition(".")[0])
    if not getattr(package, "__path__", None):
        return file_sha256(package.__file__)
    return _files_digest(Path(next(iter(package.__path__))), lambda path: True)


def _files_digest(folder: Path, counts: Callable[[Path], bool]) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and path.suffix not in _LOG_SUFFIXES and not hidden and counts(path):
            digest.update(f"{name.as_posix()}\n{file_sha256(path)}\n".encode())
    return digest.hexdigest()


class Allowed(LazyInfo):
    """The entries that an agent may read; reading another one breaks the rules of the suite.

    Entries are looked up when they are read, as most agents do not read all that they may. Parts
    without objects have no entries about objects.
    """

    def __init__(self, names: tuple[str, ...], entries: Mapping[str, Any], kind: str) -> None:
        known = [name for name in names if name in entries]
        super().__init__({}, {name: partial(getitem, entries, name) for name in known})
        self._kind = kind

    def __missing__(self, name: str) -> Any:
        if name in self:
            return super().__missing__(name)
        known = ", ".join(self.names()) or "nothing"
        raise RuleError(
            f"the agent reads {self._kind}[{name!r}], which the suite does not allow; it may read "
            f"{known} of the {self._kind}"
        )


@dataclass(frozen=True)
class Readable:
    """Names of the entries of observation and info that a suite allows to read."""

    observation: tuple[str, ...]
    info: tuple[str, ...] = ()

    def of(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return what an agent gets instead of an observation and its info."""
        return (
            Allowed(self.observation, observation, "observation"),
            Allowed(self.info, info, "info"),
        )


class GuardedAgent:
    """Agent that gets nothing but what a suite allows."""

    def __init__(self, agent: Agent, readable: Readable) -> None:
        self._agent, self._readable = agent, readable
        self.loaded_for = getattr(agent, "loaded_for", None)

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Start episodes."""
        self._agent.begin(*self._readable.of(observation, info), live)

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Return the actions of the agent."""
        return self._agent.act(*self._readable.of(observation, info), live)

"""Sources given on the command line: runs, traces or submission files."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from storage.gzip_files import DAMAGE, open_maybe_packed
from training.settings import CONFIG
from viewer.trace.format import FORMAT, Trace

Kind = Literal["run", "traces", "submission"]

_HEAD = 4096  # bytes that tell what a file is


def kind_of(path: Path) -> Kind:
    """Return the kind of a file or folder.

    Raises:
        FileNotFoundError: It does not exist.
        ValueError: It is compressed, and damaged.
    """
    if path.is_dir():
        return "run" if (path / CONFIG).is_file() else "traces"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file or folder; name a run, a folder of traces or a submission file"
        )
    with open_maybe_packed(path) as file:
        try:
            head = file.read(_HEAD)
        except DAMAGE as error:
            raise ValueError(f"{path}: the compressed data is damaged ({error})") from error
    return "traces" if json.dumps(FORMAT).encode() in head else "submission"


def short_names(paths: Iterable[Path]) -> dict[Path, str]:
    """Return the shortest distinct ends of paths: `a/run` and `b/run`, but `one` and `two`."""
    parts = {path: path.resolve().parts for path in paths}

    def short(path: Path) -> str:
        others = [other for other in parts.values() if other != parts[path]]
        length = 1
        while any(other[-length:] == parts[path][-length:] for other in others):
            length += 1
        return "/".join(parts[path][-length:])

    return {path: short(path) for path in parts}


def label_agents(brought: Mapping[Path, Sequence[Trace]]) -> dict[tuple[Path, str], list[Trace]]:
    """Give agents of the same name the names of their sources, too, if they walked differently.

    Args:
        brought: Traces by source.

    Returns:
        Traces by source and by the name of the agent there, in the order of their coming. Those of
        `follower` are of `follower one` and of `follower two` then. Where sources hold the very
        same walks of an agent, such as of a baseline, the first one keeps them.
    """
    groups: dict[tuple[Path, str], list[Trace]] = {}
    for source, traces in brought.items():
        for trace in traces:
            groups.setdefault((source, trace.agent), []).append(trace)
    names = short_names(brought)
    told: dict[tuple[Path, str], list[Trace]] = {}
    for (source, agent), own in groups.items():
        namesakes = [walks for (_, other), walks in groups.items() if other == agent]
        if any(walks != own for walks in namesakes):
            name = f"{agent} {names[source]}"
            told[source, agent] = [msgspec.structs.replace(one, agent=name) for one in own]
        else:
            told[source, agent] = own if own is namesakes[0] else []
    return told


def first_agents(told: Mapping[tuple[Path, str], Sequence[Trace]]) -> tuple[str, ...]:
    """Name of the first agent of each source, as shown; see `label_agents`."""
    first: dict[Path, str] = {}
    for (source, _), traces in told.items():
        if traces:
            first.setdefault(source, traces[0].agent)
    return tuple(dict.fromkeys(first.values()))

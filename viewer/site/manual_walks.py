"""Walks by hand, saved after every step."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol

from clipnav.envs.datasets import dataset_spec
from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.storage.errors import UserError
from clipnav.storage.locks import waiting_lock
from clipnav.viewer.site.library import Entry, Library
from clipnav.viewer.trace import Trace, agent_folder, read_traces, trace_of_path, write_trace
from clipnav.viewer.trace.building import Setting, candidates
from clipnav.viewer.trace.format import trace_file_name

AGENT, CONTINUOUS_AGENT = "you", "you, continuous"  # apart, as their walks have the same episodes
UNFINISHED = ".walking"  # not .json, so that readers of traces skip unfinished walks
_IN_MEMORY = 200  # number of walks in memory; others are read from disk again


class ManualEpisode(Protocol):
    """A walk by hand, up to a step."""

    @property
    def moves(self) -> int:
        """Number of actions so far."""
        ...

    @property
    def trace(self) -> Trace:
        """Trace of the walk so far."""
        ...

    @property
    def over(self) -> bool:
        """Whether the user has stopped."""
        ...

    def after(self, action: int) -> "ManualEpisode":
        """Return the walk after another action; 0 stops."""
        ...

    def repeating(self, trace: Trace, steps: int) -> "ManualEpisode":
        """Return the walk after the first steps of another one, as far as they are possible."""
        ...


class ManualWalk:
    """One walk on a graph, up to a step.

    Attributes:
        moves: Number of edges walked.
        trace: Trace of the walk so far.
    """

    def __init__(
        self,
        setting: Setting,
        episode: Episode,
        graph: NavGraph,
        moved_to: Sequence[str] = (),
        stopped: bool = False,
    ) -> None:
        self._setting, self._episode, self._graph = setting, episode, graph
        self._path = [episode.path[0], *moved_to]
        self.moves = len(moved_to)
        self.trace = trace_of_path(setting, episode, graph, self._path, stopped)

    @property
    def over(self) -> bool:
        """Whether the user has stopped."""
        return self.trace.ending == "stopped"

    def after(self, action: int) -> "ManualWalk":
        """Return the walk after stopping (0) or moving to candidate `action` (1, 2, ...)."""
        if self.over:
            raise UserError("this walk is over; start another one")
        places = self._neighbours()
        if not 0 <= action <= len(places):
            raise UserError(f"action {action} is not in 0..{len(places)}")
        return self._longer([places[action - 1]] if action else [], stopped=action == 0)

    def repeating(self, trace: Trace, steps: int) -> "ManualWalk":
        """Return the walk along the path of a trace, up to its first step that is not an edge."""
        walk = self
        for viewpoint in trace.walked[1 : steps + 1]:
            if viewpoint not in walk._neighbours():
                break
            walk = walk._longer([viewpoint])
        return walk

    def _neighbours(self) -> list[str]:
        return [place.viewpoint for place in candidates(self._graph, self._path[-1])]

    def _longer(self, viewpoints: Sequence[str], stopped: bool = False) -> "ManualWalk":
        moved_to = [*self._path[1:], *viewpoints]
        return ManualWalk(self._setting, self._episode, self._graph, moved_to, stopped)


@dataclass(frozen=True)
class ManualProgress:
    """State of a walk.

    Attributes:
        trace: Trace of the walk so far.
        file: File of the saved trace; None until the walk is over.
    """

    trace: Trace
    file: Path | None = None


class ManualWalks:
    """Walks by hand, one per episode at a time.

    A walk is saved after each step, so it survives a reload and a restart of the server. Folders
    separate worlds and data sets, because R4R uses ids of R2R, and the splits of R4R, which share
    ids. A walk never overwrites another one: the earlier file is renamed. Several servers may
    share the folder: each reads the file of a walk again before a step, and writes it while it
    holds the lock of the file.
    """

    def __init__(
        self,
        library: Library,
        folder: Path,
        new_continuous: Callable[[Entry], ManualEpisode] | None = None,
    ) -> None:
        self._library = library
        self._folder = folder
        self._new_continuous = new_continuous
        self._manual_walks: dict[str, ManualEpisode] = {}
        self._lock = Lock()  # two threads must not save the same walk

    def start(
        self, key: str, agent: str | None = None, steps: int = 0, *, restart: bool = False
    ) -> ManualProgress:
        """Resume the unfinished walk of an episode, or start a new one."""
        entry = self._library.entry(key)
        followed = None if agent is None else self._library.trace(key, agent)
        unfinished = self._file(entry, UNFINISHED)
        with self._lock:
            walk = self._unfinished(key, entry)
            if walk is None or restart or agent is not None:
                walk = self._new(entry)
                if followed is not None:
                    walk = walk.repeating(followed, steps)
                    _check_arrival(walk, followed, steps)
                if unfinished.is_file() or walk.moves:
                    with waiting_lock(unfinished):
                        _set_aside(unfinished)
                        self._save(entry, walk)
                self._keep(key, walk)
            return ManualProgress(walk.trace)

    def act(self, key: str, action: int, step: int) -> ManualProgress:
        """Take a step of a walk, see `ManualWalk.after`.

        Args:
            step: Number of steps of the walk when the user chose the action. A request that was
                already executed, such as the second click of a double click, changes nothing.
        """
        entry = self._library.entry(key)
        unfinished = self._file(entry, UNFINISHED)
        with self._lock:
            known = self._manual_walks.get(key)
            if known is None and not unfinished.is_file():
                raise KeyError(key)
            with waiting_lock(unfinished):
                walk = known if known is not None and known.over else self._unfinished(key, entry)
                if walk is None:
                    raise UserError(
                        f"{unfinished}: this file is gone, because the walk was finished or "
                        "started over in another viewer; start another walk"
                    )
                changed = known is not None and walk is not known
                repeated = step != walk.moves or (walk.over and action == 0)
                if not changed and not repeated:
                    walk = walk.after(action)
                    self._save(entry, walk)  # first, so that an unsaved step does not count
                    self._keep(key, walk)
            return ManualProgress(walk.trace, self._file(entry, ".json") if walk.over else None)

    def unfinished(self) -> set[str]:
        """Return the keys of the episodes whose walk can be resumed."""
        folder = self._world_folder()
        files = set(folder.rglob(f"*{UNFINISHED}"))
        keys = self._library.keys() if files else []
        return {key for key in keys if self._file(self._library.entry(key), UNFINISHED) in files}

    @property
    def is_continuous(self) -> bool:
        """Whether walks are continuous."""
        return self._new_continuous is not None

    @property
    def agent(self) -> str:
        """Name of the user in traces."""
        return CONTINUOUS_AGENT if self.is_continuous else AGENT

    def _new(self, entry: Entry) -> ManualEpisode:
        if self._new_continuous is not None:
            return self._new_continuous(entry)
        setting = Setting(AGENT, self._library.files.world, entry.dataset, entry.split)
        return ManualWalk(setting, entry.episode, self._library.graph(entry.episode.scan))

    def _keep(self, key: str, walk: ManualEpisode) -> None:
        self._manual_walks[key] = walk
        while len(self._manual_walks) > _IN_MEMORY:
            del self._manual_walks[next(iter(self._manual_walks))]

    def _unfinished(self, key: str, entry: Entry) -> ManualEpisode | None:
        """Return the unfinished walk of an episode as it was saved last, by any server."""
        known = self._manual_walks.get(key)
        path = self._file(entry, UNFINISHED)
        if not path.is_file():  # a walk without moves is not saved
            return None if known is None or known.over or known.moves else known
        (saved,) = read_traces(path)
        if known is not None and known.trace == saved:
            return known
        walk = self._new(entry).repeating(saved, len(saved.steps))
        if walk.trace != saved:
            raise UserError(
                f"{path}: this walk is of another episode or graph than {key}; move the file to "
                "another folder to start a new walk"
            )
        self._keep(key, walk)
        return walk

    def _save(self, entry: Entry, walk: ManualEpisode) -> None:
        unfinished = self._file(entry, UNFINISHED)
        if not walk.over:
            if walk.moves:
                write_trace(walk.trace, unfinished.parent, UNFINISHED)
            return
        _set_aside(self._file(entry, ".json"))
        write_trace(walk.trace, unfinished.parent)
        unfinished.unlink(missing_ok=True)
        self._library.add([walk.trace])

    def _file(self, entry: Entry, suffix: str) -> Path:
        folder = self._world_folder() / entry.dataset
        if not dataset_spec(entry.dataset).unique_ids:
            folder /= trace_file_name(entry.split, "")
        return folder / trace_file_name(entry.episode.instr_id, suffix)

    def _world_folder(self) -> Path:
        return agent_folder(self._folder, self.agent) / self._library.files.world


def _check_arrival(walk: ManualEpisode, followed: Trace, steps: int) -> None:
    """Check that a walk that repeats an agent's steps has reached the agent's viewpoint."""
    last = min(steps, len(followed.steps) - 1)
    if walk.trace.walked[-1] == followed.walked[last]:
        return
    problem = f"your walk cannot follow '{followed.agent}' to step {last}"
    if walk.trace.is_continuous or followed.is_continuous:
        raise UserError(f"{problem}: its actions cannot be repeated here; walk from step 0")
    raise UserError(
        f"{problem}: its step {walk.moves + 1} is reached from step {walk.moves} without an edge; "
        "take over before it"
    )


def _set_aside(path: Path) -> None:
    """Keep an earlier walk under a name that readers of traces skip."""
    if path.is_file():
        names = (path.with_suffix(f".earlier-{number}") for number in itertools.count(1))
        path.rename(next(name for name in names if not name.exists()))

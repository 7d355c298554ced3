"""Walks by hand, saved after every step."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from envs.episodes import Episode
from envs.graphs.nav_graph import NavGraph
from viewer.site.library import Entry, Library
from viewer.trace import Trace, read_traces, trace_of_path, write_trace
from viewer.trace.building import Setting, candidates
from viewer.trace.format import trace_file_name

AGENT = "you"
UNFINISHED = ".walking"  # not .json: readers of traces shall not meet half a walk
_KEPT = 200  # walks in memory; all others are read from disk again


class ManualWalk:
    """One walk, up to a step.

    Attributes:
        moves: How many edges have been walked.
        trace: Of the walk so far.
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
        """Whether the person has stopped."""
        return self.trace.ending == "stopped"

    def after(self, action: int) -> "ManualWalk":
        """The walk after stopping (0) or going to candidate `action` (1, 2, ...).

        Raises:
            ValueError: The walk is over, or there is no such candidate.
        """
        if self.over:
            raise ValueError("this walk is over: start another one")
        places = self._neighbours()
        if not 0 <= action <= len(places):
            raise ValueError(f"action {action} is not in 0..{len(places)}")
        return self._longer([places[action - 1]] if action else [], stopped=action == 0)

    def along(self, path: Sequence[str]) -> "ManualWalk":
        """Return the walk along a given path, up to its first step that is not an edge."""
        walk = self
        for viewpoint in path:
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
class Progress:
    """State of a walk.

    Attributes:
        trace: Of the walk so far.
        file: Where it is saved as a trace, once it is over.
    """

    trace: Trace
    file: Path | None = None


class Drives:
    """Walks by episode, one of each at a time.

    A walk under way is saved after each step, by world and data set, whose ids are alike: R4R has
    those of R2R. It so outlives the page and the server. No file is ever overwritten by another
    walk: the earlier one is kept beside it under another name.

    Args:
        library: Takes up what is over.
        folder: Where traces are saved.
    """

    def __init__(self, library: Library, folder: Path) -> None:
        self._library = library
        self._folder = folder
        self._drives: dict[str, ManualWalk] = {}
        self._lock = Lock()  # two threads must not both save one walk

    def start(
        self, key: str, agent: str | None = None, steps: int = 0, *, afresh: bool = False
    ) -> Progress:
        """Resume the unfinished walk of an episode, or start a new one.

        Args:
            key: Of the episode.
            agent: Take over from this agent, ...
            steps: ... after so many of its steps.
            afresh: Begin again even if a walk is under way; it is set aside.

        Raises:
            KeyError: There is no such episode, or the agent has not walked it.
            ValueError: The saved walk cannot be resumed; the message names the file.
        """
        entry = self._library.entry(key)
        beginning = () if agent is None else self._library.trace(key, agent).walked[1 : steps + 1]
        with self._lock:
            drive = self._under_way(key, entry)
            if drive is None or afresh or agent is not None:
                if drive is not None and drive.moves:
                    _set_aside(self._file(entry, UNFINISHED))
                drive = self._new(entry).along(beginning)
                self._save(entry, drive)
                self._keep(key, drive)
            return Progress(drive.trace)

    def act(self, key: str, action: int, step: int) -> Progress:
        """Take a step of a walk, see `ManualWalk.after`.

        Args:
            key: Of the episode.
            action: As for `ManualWalk.after`.
            step: How many steps the person had walked when they chose. An order that was carried
                out already, such as the second half of a double click, changes nothing.

        Raises:
            KeyError: The episode has no walk.
            ValueError: It cannot be continued like this.
        """
        entry = self._library.entry(key)
        with self._lock:
            drive = self._drives.get(key) or self._under_way(key, entry)
            if drive is None:
                raise KeyError(key)
            repeated = step != drive.moves or (drive.over and action == 0)
            if not repeated:
                drive = drive.after(action)
                self._save(entry, drive)  # what could not be saved has not happened
                self._keep(key, drive)
            return Progress(drive.trace, self._file(entry, ".json") if drive.over else None)

    def under_way(self) -> set[str]:
        """Return the keys of the episodes whose walk can be resumed."""
        folder = self._folder / AGENT / self._library.files.world
        files = set(folder.glob(f"*/*{UNFINISHED}"))
        keys = self._library.keys() if files else []
        return {key for key in keys if self._file(self._library.entry(key), UNFINISHED) in files}

    def _new(self, entry: Entry) -> ManualWalk:
        setting = Setting(AGENT, self._library.files.world, entry.dataset, entry.split)
        return ManualWalk(setting, entry.episode, self._library.graph(entry.episode.scan))

    def _keep(self, key: str, drive: ManualWalk) -> None:
        self._drives[key] = drive
        while len(self._drives) > _KEPT:
            del self._drives[next(iter(self._drives))]

    def _under_way(self, key: str, entry: Entry) -> ManualWalk | None:
        """Return the unfinished walk of an episode, from memory or disk."""
        found = self._drives.get(key)
        if found is not None:
            return None if found.over else found
        path = self._file(entry, UNFINISHED)
        if not path.is_file():
            return None
        (saved,) = read_traces(path)
        drive = self._new(entry).along(saved.walked[1:])
        if drive.trace != saved:
            raise ValueError(
                f"{path}: this walk is of another episode or another graph than {key}; move the "
                "file elsewhere to start a new walk"
            )
        self._keep(key, drive)
        return drive

    def _save(self, entry: Entry, drive: ManualWalk) -> None:
        unfinished = self._file(entry, UNFINISHED)
        if not drive.over:
            if drive.moves:
                write_trace(drive.trace, unfinished.parent, UNFINISHED)
            return
        _set_aside(self._file(entry, ".json"))
        write_trace(drive.trace, unfinished.parent)
        unfinished.unlink(missing_ok=True)
        self._library.add([drive.trace])

    def _file(self, entry: Entry, suffix: str) -> Path:
        folder = self._folder / AGENT / self._library.files.world / entry.dataset
        return folder / trace_file_name(entry.episode.instr_id, suffix)


def _set_aside(path: Path) -> None:
    """Keep an earlier walk under a name that readers of traces skip."""
    if path.is_file():
        names = (path.with_suffix(f".earlier-{number}") for number in itertools.count(1))
        path.rename(next(name for name in names if not name.exists()))

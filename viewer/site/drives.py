"""Walks that a person steers."""

import itertools
from pathlib import Path
from threading import Lock

from envs.episodes import Episode
from envs.graphs.nav_graph import NavGraph
from viewer.site.library import Library
from viewer.trace import Trace, trace_of_path, write_trace
from viewer.trace.building import Setting, candidates

AGENT = "you"
_KEPT = 200


class Drive:
    """One walk.

    Attributes:
        trace: Of the walk so far.
    """

    def __init__(self, setting: Setting, episode: Episode, graph: NavGraph) -> None:
        self._setting, self._episode, self._graph = setting, episode, graph
        self._path = [episode.path[0]]
        self.trace = self._traced(False)

    def act(self, action: int) -> None:
        """Stop (0), or go to candidate `action` (1, 2, ...).

        Raises:
            ValueError: The walk is over, or there is no such candidate.
        """
        if self.trace.ending == "stopped":
            raise ValueError("this walk is over: start another one")
        places = candidates(self._graph, self._path[-1])
        if not 0 <= action <= len(places):
            raise ValueError(f"action {action} is not in 0..{len(places)}")
        if action:
            self._path.append(places[action - 1].viewpoint)
        self.trace = self._traced(action == 0)

    def go_along(self, path: tuple[str, ...]) -> None:
        """Repeat the beginning of somebody's walk, as far as it follows edges."""
        for viewpoint in path:
            places = [c.viewpoint for c in candidates(self._graph, self._path[-1])]
            if viewpoint not in places:
                return
            self.act(1 + places.index(viewpoint))

    def _traced(self, stopped: bool) -> Trace:
        return trace_of_path(self._setting, self._episode, self._graph, self._path, stopped)


class Drives:
    """Walks under way, by number; the oldest are forgotten.

    Args:
        library: Takes up what is saved.
        folder: Where traces are saved.
    """

    def __init__(self, library: Library, folder: Path) -> None:
        self._library = library
        self._folder = folder
        self._drives: dict[int, Drive] = {}
        self._numbers = itertools.count(1)
        self._lock = Lock()

    def start(self, key: str, agent: str | None = None, steps: int = 0) -> tuple[int, Trace]:
        """Put a person at the start of an episode.

        Args:
            key: Of the episode.
            agent: Take over from this agent, ...
            steps: ... after so many of its steps.

        Raises:
            KeyError: There is no such episode, or the agent has not walked it.
        """
        entry = self._library.entry(key)
        setting = Setting(AGENT, self._library.files.world, entry.dataset, entry.split)
        drive = Drive(setting, entry.episode, self._library.graph(entry.episode.scan))
        if agent is not None:
            drive.go_along(self._library.trace(key, agent).walked[1 : steps + 1])
        with self._lock:
            number = next(self._numbers)
            self._drives[number] = drive
            while len(self._drives) > _KEPT:
                del self._drives[next(iter(self._drives))]
        return number, drive.trace

    def act(self, number: int, action: int) -> Trace:
        """Take a step of a walk, see `Drive.act`.

        Raises:
            KeyError: There is no such walk.
            ValueError: It cannot go on like this.
        """
        with self._lock:
            drive = self._drives[number]
            drive.act(action)
            return drive.trace

    def save(self, number: int) -> Path:
        """Write the trace of a walk to disk and put it among the episodes.

        The folder tells world and data set, whose ids are alike: R4R has those of R2R.

        Raises:
            KeyError: There is no such walk.
            ValueError: It is not over yet.
        """
        trace = self._drives[number].trace
        if trace.ending != "stopped":
            raise ValueError("stop before you save your walk")
        path = write_trace(trace, self._folder / AGENT / trace.world / trace.dataset)
        self._library.add([trace])
        return path

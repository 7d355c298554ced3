"""Episode: one instruction, its start and its reference path."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from clipnav.envs.graphs.goal import Goal
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.storage.errors import UserError

_SUFFIX = "_connectivity.json"


def without_turns(path: Sequence[str]) -> tuple[str, ...]:
    """Return a path without consecutive repetitions of a viewpoint."""
    return tuple(viewpoint for viewpoint, _ in groupby(path))


def path_problems(
    scans: Sequence[str],
    paths: Sequence[Sequence[str]],
    connectivity_dir: Path,
    adjacent: bool = False,
    field: str = "path",
) -> dict[int, str]:
    """Return the first problem of each path that does not fit its graph.

    Args:
        adjacent: Whether each viewpoint must equal or be a neighbour of the one before it;
            otherwise it must only be reachable.
        field: Field of the paths in the file, for the messages.
    """
    numbers_of: dict[str, list[int]] = defaultdict(list)
    for number, scan in enumerate(scans):
        numbers_of[scan].append(number)
    # A name from an annotation file must not become part of a file path unless it is a known scan.
    known = {path.name.removesuffix(_SUFFIX) for path in connectivity_dir.glob(f"*{_SUFFIX}")}
    problems: dict[int, str] = {}
    for scan, numbers in numbers_of.items():
        if scan in known:
            graph = NavGraph.load(scan, connectivity_dir)
            found = _scan_problems(graph, numbers, [paths[n] for n in numbers], adjacent)
            problems |= {number: f"field '{field}': {text}" for number, text in found.items()}
        else:
            text = f"field 'scan': {scan!r} has no navigation graph in {connectivity_dir}"
            problems |= dict.fromkeys(numbers, text)
    return problems


def _scan_problems(
    graph: NavGraph, numbers: Sequence[int], paths: Sequence[Sequence[str]], adjacent: bool
) -> dict[int, str]:
    viewpoints = [viewpoint for path in paths for viewpoint in path]
    indices = {viewpoint: i for i, viewpoint in enumerate(graph.viewpoint_ids)}
    nodes = np.array([indices.get(viewpoint, -1) for viewpoint in viewpoints], dtype=np.intp)
    owners = np.repeat(numbers, [len(path) for path in paths])
    problems: dict[int, str] = {}
    for position in np.flatnonzero(nodes < 0):
        problems.setdefault(
            int(owners[position]),
            f"scan {graph.scan!r} has no viewpoint {viewpoints[position]!r} that is included in "
            "navigation",
        )
    before, after = nodes[:-1], nodes[1:]
    if adjacent:
        valid = graph.adjacency[before, after] | (before == after)
    else:
        valid = np.isfinite(graph.distances[before, after])
    is_step = (owners[:-1] == owners[1:]) & (before >= 0) & (after >= 0)
    relation = "are not neighbours" if adjacent else "are not connected"
    for position in np.flatnonzero(is_step & ~valid):
        start, end = viewpoints[position : position + 2]
        text = f"{start!r} and {end!r} {relation} in scan {graph.scan!r}"
        problems.setdefault(int(owners[position]), text)
    return problems


# RxR's training split has millions of timed words. The garbage collector skips a Struct, which
# halves the time of reading them.
class TimedWord(msgspec.Struct, frozen=True, gc=False):
    """Word of a spoken instruction with its time in the recording.

    Attributes:
        word: Transcribed word.
        start_time: Start in seconds from the start of the recording; None where RxR lacks it.
        end_time: End in seconds from the start of the recording; None where RxR lacks it.
    """

    word: str
    start_time: float | None = None
    end_time: float | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """One instruction, its start and its reference path.

    Attributes:
        instr_id: Id of the episode: `<path_id>_<k>` for instruction k of a path of R2R and R4R,
            `instruction_id` in RxR.
        path_id: Id of the path.
        scan: Name of the building.
        path: Viewpoints of the reference path; only its start where the goal is secret (the test
            splits).
        heading: Initial heading, radians clockwise from +y.
        instruction: Raw text of the instruction.
        language: Language tag, such as "en" or "hi-IN".
        annotator_id: Id of the annotator (RxR), or None.
        edit_distance: Edit distance between the annotator's transcript and automatic speech
            recognition (RxR), or None.
        timed_instruction: Words with their times (RxR, only if they were loaded).
        target: Goal, or None if it is the last viewpoint of the path.
        follows: `instr_id` of the episode at whose end this one starts, which is before it in the
            split, see `clipnav.envs.episodes.chains`; "" for an episode with a start of its own.
    """

    instr_id: str
    path_id: int
    scan: str
    path: tuple[str, ...]
    heading: float
    instruction: str
    language: str
    annotator_id: int | None = None
    edit_distance: float | None = None
    timed_instruction: tuple[TimedWord, ...] = ()
    target: Goal | None = None
    follows: str = ""

    @property
    def has_goal(self) -> bool:
        """Whether the goal is known."""
        return self.target is not None or len(self.path) > 1

    @property
    def goal(self) -> Goal:
        """The goal, which is not known if `has_goal` is False."""
        return self.target or Goal(self.path[-1:])


def own_goals(episodes: Sequence[Episode]) -> list[Goal] | None:
    """Return the goals of episodes for `score_paths`; None if all are the ends of the paths."""
    if all(episode.target is None for episode in episodes):
        return None
    return [episode.goal for episode in episodes]


def base_language(tag: str) -> str:
    """Return the language of a tag without the country: "en" for "en-IN"."""
    return tag.partition("-")[0]


class HasGoal(Protocol):
    """Episode of the graphs or of continuous space."""

    @property
    def has_goal(self) -> bool:
        """Whether the goal is published."""
        ...


def check_goals(
    episodes: Iterable[HasGoal], split: str, consequence: str = "walks have no measures"
) -> None:
    """Check that the goals of all episodes are published."""
    if not all(episode.has_goal for episode in episodes):
        raise UserError(
            f"{split}: its goals are not published, so that {consequence}; name another split"
        )

"""Reading submission files, anybody's, and checking them against the split that they walk.

A file is one JSON array, or JSON Lines, of records with an id (`instr_id`, or `instruction_id`) and
a path (`trajectory`, or `path`). Known forms of the path: poses `[viewpoint, heading, elevation]`
(Matterport3DSimulator, EnvDrop, CLIP-ViL, HAMT), plain viewpoints (the RxR server), and lists of
viewpoints per decision (DUET and what builds on it).
"""

import reprlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from envs.episodes import Episode
from envs.graphs.nav_graph import NavGraph
from storage.records import read_records

_MAX_NESTING = 3  # DUET: trajectory, decision, pose
_NAMED = 5  # how many of the concerned a finding names

_quoting = reprlib.Repr()
_quoting.maxstring = 64  # a viewpoint id of Matterport3D has 32 characters
_short = _quoting.repr
# All of RxR's instructions with 50 poses each have 0.4 GB; any JSON takes ten times as much memory.
_MOST_BYTES = 1 << 30
REMEDY = "write the file anew, in one of the forms that docs/metrics.md shows"


@dataclass
class Finding:
    """One kind of thing that was found in a submission file.

    Attributes:
        what: What it is, in words.
        fault: Whether a test server refuses the file for it, or should.
        places: What is concerned, each in words.
    """

    what: str
    fault: bool
    places: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        named = "; ".join(self.places[:_NAMED])
        more = len(self.places) - _NAMED
        rest = f"; and {more} more" if more > 0 else ""
        return f"{self.what}: {len(self.places)} ({named}{rest})"


@dataclass(frozen=True)
class SubmissionCheck:
    """What a submission file holds for a split.

    Attributes:
        path: The file.
        records: How many records it has.
        expected: How many instructions there are to walk.
        trajectories: By instr_id, in the order of the split, the walked viewpoints that can be
            scored.
        findings: What is wrong or odd, faults first.
    """

    path: Path
    records: int
    expected: int
    trajectories: dict[str, tuple[str, ...]]
    findings: list[Finding]

    @property
    def faulty(self) -> bool:
        """Whether a test server would refuse the file, or should."""
        return any(finding.fault for finding in self.findings)


class _Findings:
    """SearchResult by kind, in the order in which a reader wants them."""

    def __init__(self) -> None:
        self.unreadable = Finding("records that cannot be read", True)
        self.foreign = Finding("records of instructions that the split does not have", True)
        self.duplicate = Finding("records of an instruction that came before (not counted)", True)
        self.empty = Finding("empty paths (not counted)", True)
        self.unknown = Finding("paths over viewpoints that their scan lacks (not counted)", True)
        self.start = Finding("paths that do not begin at the start (not counted)", True)
        self.apart = Finding("paths between parts that no way joins (not counted)", True)
        self.missing = Finding("instructions without a path", True)
        self.jumps = Finding(
            "steps over no edge (counted with the length of the shortest path)", False
        )
        self.turns = Finding(
            "paths that repeat a viewpoint, as for turns in place (each entry counts in nDTW, "
            "unless turns are dropped)",
            False,
        )
        self.outside = Finding("records of instructions that are left out of this count", False)

    def found(self) -> list[Finding]:
        return [finding for finding in vars(self).values() if finding.places]


def read_submission(path: Path) -> list[Any]:
    """Read the records of a file, whatever they are.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no JSON, or too large; names the record.
    """
    return read_records(path, object, REMEDY, _MOST_BYTES)


def check_submission(
    path: Path,
    records: Sequence[Any],
    episodes: Sequence[Episode],
    graphs: Mapping[str, NavGraph],
    counted: Collection[str] | None = None,
) -> SubmissionCheck:
    """Check the records of a submission file and keep the paths that can be scored.

    Of several records of an instruction the first counts, and records of other instructions are
    passed over, as in Matterport3DSimulator `tasks/R2R/eval.py`.

    Args:
        path: The file, for the messages.
        records: Its records, from JSON.
        episodes: All instructions of the split.
        graphs: By scan.
        counted: Ids of the instructions to count, all when None; records of the others are no
            fault.
    """
    findings = _Findings()
    walked = _walked_paths(records, episodes, findings)
    expected = [e for e in episodes if counted is None or e.instr_id in counted]
    names = {episode.instr_id for episode in expected}
    findings.outside.places += [instr_id for instr_id in walked if instr_id not in names]
    findings.missing.places += [e.instr_id for e in expected if e.instr_id not in walked]
    trajectories = {
        e.instr_id: walked[e.instr_id]
        for e in expected
        if e.instr_id in walked and _check_path(e, walked[e.instr_id], graphs[e.scan], findings)
    }
    return SubmissionCheck(path, len(records), len(expected), trajectories, findings.found())


def _walked_paths(
    records: Sequence[Any], episodes: Sequence[Episode], findings: _Findings
) -> dict[str, tuple[str, ...]]:
    """By instr_id, the first path that the records have for it."""
    names = _names(episodes)
    walked: dict[str, tuple[str, ...]] = {}
    for number, record in enumerate(records):
        try:
            written, viewpoints = _read_record(record)
        except ValueError as error:
            findings.unreadable.places.append(f"record {number}: {error}")
            continue
        instr_id = names.get(written)
        if instr_id is None:
            findings.foreign.places.append(f"record {number}: {_short(written)}")
        elif instr_id in walked:
            same = "the same path" if walked[instr_id] == viewpoints else "another path"
            findings.duplicate.places.append(f"record {number}: {instr_id} with {same}")
        else:
            walked[instr_id] = viewpoints
    return walked


def _names(episodes: Sequence[Episode]) -> dict[str, str]:
    """The instr_id that each way to write the id of an instruction means.

    HAMT and what builds on it call an instruction of RxR `<path_id>_<instruction_id>`.
    """
    names = {f"{e.path_id}_{e.instr_id}": e.instr_id for e in episodes if "_" not in e.instr_id}
    return names | {e.instr_id: e.instr_id for e in episodes}


def _read_record(record: Any) -> tuple[str, tuple[str, ...]]:
    """Id as it is written, and viewpoints."""
    if not isinstance(record, dict):
        raise ValueError(f"expected an object but found {_short(record)}")
    instr_id = _field(record, "instr_id", "instruction_id")
    if not isinstance(instr_id, str | int) or isinstance(instr_id, bool):
        raise ValueError(f"the id is {_short(instr_id)}, which is neither text nor a number")
    trajectory = _field(record, "trajectory", "path")
    try:
        if not isinstance(trajectory, list):
            raise ValueError(f"the path is {_short(trajectory)}, which is no list")
        return str(instr_id), tuple(v for entry in trajectory for v in _viewpoints(entry, 1))
    except ValueError as error:
        raise ValueError(f"{_short(instr_id)}: {error}") from None


def _field(record: dict[str, Any], *names: str) -> Any:
    for name in names:
        if name in record:
            return record[name]
    found = ", ".join(map(_short, list(record)[:_NAMED])) or "none"
    raise ValueError(f"it has no field {' or '.join(map(repr, names))}; its fields are {found}")


def _viewpoints(entry: Any, nesting: int) -> Iterator[str]:
    """Viewpoints of an entry of a trajectory: a viewpoint, a pose, or a list of either."""
    if isinstance(entry, str):
        yield entry
    elif not isinstance(entry, list) or nesting > _MAX_NESTING:
        raise ValueError(f"{_short(entry)} is neither a viewpoint nor a pose")
    elif _all_numbers(entry) and entry:
        raise ValueError(
            f"{_short(entry)} is a place in space, as in the continuous RxR-Habitat; paths "
            "of the discrete task are viewpoint ids"
        )
    elif entry and isinstance(entry[0], str) and _all_numbers(entry[1:]):
        yield entry[0]
    else:
        for part in entry:
            yield from _viewpoints(part, nesting + 1)


def _all_numbers(entries: list[Any]) -> bool:
    return all(isinstance(entry, int | float) for entry in entries)


def _check_path(
    episode: Episode, path: tuple[str, ...], graph: NavGraph, findings: _Findings
) -> bool:
    """Note what is wrong with a path; tells whether it can be scored."""
    name = episode.instr_id
    if not path:
        findings.empty.places.append(name)
        return False
    unknown = next((viewpoint for viewpoint in path if viewpoint not in graph), None)
    if unknown is not None:
        text = f"{name}: {_short(unknown)} is not in scan {graph.scan}"
        findings.unknown.places.append(text)
        return False
    if path[0] != episode.path[0]:
        text = f"{name}: it begins at {path[0]} instead of {episode.path[0]}"
        findings.start.places.append(text)
        return False
    nodes = [graph.index(viewpoint) for viewpoint in path]
    beside = graph.adjacency[nodes[:-1], nodes[1:]].tolist()
    jumps = [
        step
        for step, (one, other) in enumerate(pairwise(nodes))
        if one != other and not beside[step]
    ]
    apart = [step for step in jumps if np.isinf(graph.distances[nodes[step], nodes[step + 1]])]
    places = (findings.apart if apart else findings.jumps).places
    places += [f"{name}: step {k + 1}, {path[k]} to {path[k + 1]}" for k in apart or jumps]
    if apart:
        return False
    if any(one == other for one, other in pairwise(nodes)):
        findings.turns.places.append(name)
    return True

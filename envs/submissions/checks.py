"""Reading submission files of any codebase, and checks against their split.

A file is one JSON array, or JSON Lines, of records with an id (`instr_id`, `instruction_id` or
`inst_idx`) and a path (`trajectory` or `path`). Supported formats of a path are poses
`[viewpoint, heading, elevation]` (Matterport3DSimulator, EnvDrop, CLIP-ViL, HAMT), viewpoints (the
RxR server), lists of viewpoints per decision (DUET and its successors), and for SOON an object with
a field `path` (DUET) or a list of such objects (SAME).
"""

import itertools
import reprlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.storage.errors import UserError
from clipnav.storage.records import read_records

_MAX_NESTING = 3  # DUET: trajectory, decision, pose
_NAMED = 5  # number of cases that a finding lists, fewer if they are long
_LINE, _EXCERPT = 400, 80  # characters of these cases together, and of a quoted part of a record

_quoting = reprlib.Repr()
_quoting.maxstring = 64  # a viewpoint id of Matterport3D has 32 characters
# Paths of 50 poses for all instructions of RxR take 0.4 GB; parsed JSON takes ten times as much.
_MOST_BYTES = 1 << 30
HINT = "write the file again in one of the formats of docs/metrics.md"


@dataclass
class Finding:
    """One kind of problem or peculiarity of a submission file.

    Attributes:
        kind: Description of the kind.
        fault: Whether a test server refuses the file because of it, or should.
        cases: Description of each case.
    """

    kind: str
    fault: bool
    cases: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ends = itertools.accumulate(map(len, self.cases[:_NAMED]))
        count = max(1, sum(end <= _LINE for end in ends))
        named, more = "; ".join(self.cases[:count]), len(self.cases) - count
        rest = f"; and {more} more" if more > 0 else ""
        return f"{self.kind}: {len(self.cases)} ({named}{rest})"


@dataclass(frozen=True)
class FileCheck:
    """Result of the checks of a submission file of any task.

    Attributes:
        path: The file.
        records: Number of records.
        expected: Number of instructions that require a record.
        findings: Findings, faults first.
    """

    path: Path
    records: int
    expected: int
    findings: list[Finding]

    @property
    def faulty(self) -> bool:
        """Whether a test server refuses the file, or should."""
        return any(finding.fault for finding in self.findings)

    @property
    def usable(self) -> int:
        """Number of instructions with a valid record."""
        raise NotImplementedError


@dataclass(frozen=True)
class SubmissionCheck(FileCheck):
    """Result of the checks of a submission file against its split.

    Attributes:
        trajectories: Viewpoints of the valid paths by instr_id, in the order of the split.
        answers: Answers of the same records, which some datasets ask for; None where there is none.
    """

    trajectories: dict[str, tuple[str, ...]]
    answers: dict[str, Any] = field(default_factory=dict)

    @property
    def usable(self) -> int:
        """Number of instructions with a valid path."""
        return len(self.trajectories)


class _Findings:
    """Findings by kind, in the order of the report."""

    def __init__(self) -> None:
        self.unreadable = Finding("records that cannot be read", True)
        self.foreign = Finding("records of instructions outside the split", True)
        self.duplicate = Finding("repeated records of an instruction (not counted)", True)
        self.empty = Finding("empty paths (not counted)", True)
        self.unknown = Finding("paths with viewpoints that their scan lacks (not counted)", True)
        self.start = Finding("paths that do not begin at the start (not counted)", True)
        self.apart = Finding("paths with steps between unconnected viewpoints (not counted)", True)
        self.missing = Finding("instructions without a path", True)
        self.jumps = Finding(
            "steps without an edge (counted with the length of the shortest path)", False
        )
        self.turns = Finding(
            "paths that repeat a viewpoint, as for turns in place (each entry counts in nDTW "
            "unless turns are dropped)",
            False,
        )
        self.outside = Finding("records of instructions that are not counted here", False)

    def nonempty(self) -> list[Finding]:
        return [finding for finding in vars(self).values() if finding.cases]


def instruction_number(path: str | Path, instr_id: str) -> int:
    """Return the number of an instruction of RxR."""
    if not instr_id.isdecimal():
        raise UserError(
            f"{path}: a submission to RxR cannot contain episode {instr_id!r} of another dataset; "
            "name the dataset of the episodes"
        )
    return int(instr_id)


def read_submission(path: Path) -> list[Any]:
    """Read the records of a file without checking their contents."""
    return read_records(path, object, HINT, _MOST_BYTES)


def check_submission(
    path: Path,
    records: Sequence[Any],
    episodes: Sequence[Episode],
    graphs: Mapping[str, NavGraph],
    counted: Collection[str] | None = None,
    aliases: Mapping[str, str] | None = None,
    read_answer: Callable[[Mapping[str, Any]], Any] | None = None,
) -> SubmissionCheck:
    """Check the records of a submission file and return the paths that can be scored.

    The first record of an instruction counts, and records of other instructions are ignored, as in
    Matterport3DSimulator `tasks/R2R/eval.py`.

    Args:
        counted: Ids of the instructions to count; None for all. Records of the other instructions
            are not a fault.
        aliases: `instr_id` of further spellings.
        read_answer: Function of a record that returns its answer or raises UserError.
    """
    findings = _Findings()
    # HAMT and its successors write `<path_id>_<instruction_id>` for an instruction of RxR.
    spelled = {f"{e.path_id}_{e.instr_id}": e.instr_id for e in episodes if "_" not in e.instr_id}
    names = {**(aliases or {}), **spelled, **{e.instr_id: e.instr_id for e in episodes}}
    walked, answers = _walked_paths(records, names, findings, read_answer)
    expected = [e for e in episodes if counted is None or e.instr_id in counted]
    asked = {episode.instr_id for episode in expected}
    findings.outside.cases += [instr_id for instr_id in walked if instr_id not in asked]
    findings.missing.cases += [e.instr_id for e in expected if e.instr_id not in walked]
    trajectories: dict[str, tuple[str, ...]] = {}
    ends: dict[str, str] = {}  # where episodes of chains end
    for e in expected:
        start = ends.get(e.follows, e.path[0])
        walk = walked.get(e.instr_id)
        if walk is not None and _check_path(e.instr_id, start, walk, graphs[e.scan], findings):
            trajectories[e.instr_id] = walk
        ends[e.instr_id] = trajectories.get(e.instr_id, (start,))[-1]
    return SubmissionCheck(
        *(path, len(records), len(expected), findings.nonempty(), trajectories, answers)
    )


def _walked_paths(
    records: Sequence[Any],
    names: Mapping[str, str],
    findings: _Findings,
    read_answer: Callable[[Mapping[str, Any]], Any] | None,
) -> tuple[dict[str, tuple[str, ...]], dict[str, Any]]:
    """Return the first path and answer of each instruction in the records, by instr_id."""
    walked: dict[str, tuple[str, ...]] = {}
    answers: dict[str, Any] = {}
    for number, record in enumerate(records):
        try:
            fields = _fields(record)
            written_id, viewpoints = _read_record(fields)
            answer = None if read_answer is None else read_answer(fields)
        except ValueError as error:
            findings.unreadable.cases.append(f"record {number}: {error}")
            continue
        instr_id = names.get(written_id)
        if instr_id is None:
            findings.foreign.cases.append(f"record {number}: {_short(written_id)}")
        elif instr_id in walked:
            same = "the same path" if walked[instr_id] == viewpoints else "another path"
            findings.duplicate.cases.append(f"record {number}: {instr_id} with {same}")
        else:
            walked[instr_id], answers[instr_id] = viewpoints, answer
    return walked, answers


def _fields(record: Any) -> Mapping[str, Any]:
    """Return the fields of a record and of its walk, whose `path` becomes the `trajectory`."""
    if not isinstance(record, dict):
        raise UserError(f"expected an object but found {_short(record)}")
    walk = record.get("trajectory")
    if isinstance(walk, list) and walk:
        walk = walk[0]  # a walk for each beam, the best one first
    if not isinstance(walk, dict):
        return record
    return {**walk, **record, "trajectory": _field(walk, "path")}


def _read_record(record: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return the id as written and the viewpoints of a record."""
    instr_id = _field(record, "instr_id", "instruction_id", "inst_idx")
    if not isinstance(instr_id, str | int) or isinstance(instr_id, bool):
        raise UserError(f"the id is {_short(instr_id)}, which is neither a string nor an integer")
    trajectory = _field(record, "trajectory", "path")
    try:
        if not isinstance(trajectory, list):
            raise UserError(f"the path is {_short(trajectory)}, which is not a list")
        return str(instr_id), tuple(v for entry in trajectory for v in _viewpoints(entry, 1))
    except ValueError as error:
        raise UserError(f"{_short(instr_id)}: {error}") from None


def _short(value: Any) -> str:
    text = _quoting.repr(value)
    return text if len(text) <= _EXCERPT else f"{text[: _EXCERPT - 3]}..."


def _field(record: Mapping[str, Any], *names: str) -> Any:
    for name in names:
        if name in record:
            return record[name]
    fields = ", ".join(map(_short, list(record)[:_NAMED])) or "none"
    raise UserError(f"it has no field {' or '.join(map(repr, names))}; its fields are {fields}")


def _viewpoints(entry: Any, nesting: int) -> Iterator[str]:
    """Yield the viewpoints of an entry of a trajectory: a viewpoint, a pose, or a list of these."""
    if isinstance(entry, str):
        yield entry
    elif not isinstance(entry, list) or nesting > _MAX_NESTING:
        raise UserError(f"{_short(entry)} is neither a viewpoint nor a pose")
    elif _all_numbers(entry) and entry:
        raise UserError(
            f"{_short(entry)} is a position in space, as in the continuous RxR-Habitat; paths of "
            "the discrete task consist of viewpoint ids"
        )
    elif entry and isinstance(entry[0], str) and _all_numbers(entry[1:]):
        yield entry[0]
    else:
        for part in entry:
            yield from _viewpoints(part, nesting + 1)


def _all_numbers(entries: list[Any]) -> bool:
    return all(isinstance(entry, int | float) for entry in entries)


def _check_path(
    name: str, start: str, path: tuple[str, ...], graph: NavGraph, findings: _Findings
) -> bool:
    """Record the findings of a path and return whether it can be scored."""
    if not path:
        findings.empty.cases.append(name)
        return False
    unknown = next((viewpoint for viewpoint in path if viewpoint not in graph), None)
    if unknown is not None:
        text = f"{name}: {_short(unknown)} is not in scan {graph.scan}"
        findings.unknown.cases.append(text)
        return False
    if path[0] != start:
        text = f"{name}: the path begins at {path[0]} instead of {start}"
        findings.start.cases.append(text)
        return False
    nodes = [graph.index(viewpoint) for viewpoint in path]
    adjacent = graph.adjacency[nodes[:-1], nodes[1:]].tolist()
    jumps = [
        step
        for step, (start, end) in enumerate(itertools.pairwise(nodes))
        if start != end and not adjacent[step]
    ]
    apart = [step for step in jumps if np.isinf(graph.distances[nodes[step], nodes[step + 1]])]
    cases = (findings.apart if apart else findings.jumps).cases
    cases += [f"{name}: step {k + 1}, {path[k]} to {path[k + 1]}" for k in apart or jumps]
    if apart:
        return False
    if any(start == end for start, end in itertools.pairwise(nodes)):
        findings.turns.cases.append(name)
    return True

"""Submission files of R2R-CE and RxR-CE: writing, checks, and scores on the built-in houses.

R2R-CE (EvalAI challenge 719): a JSON object from `episode_id` to poses {"position", "heading",
"stop"}, the start and one per action. RxR-CE: JSON Lines of {"instruction_id", "path"}. Positions
are in habitat's axes; "heading" is the yaw in radians counter-clockwise.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.envs.continuous.coordinates import PoseTrace, from_habitat, heading_to_yaw, to_habitat
from clipnav.envs.continuous.episodes import ContinuousEpisode
from clipnav.envs.continuous.measures import moved_positions
from clipnav.envs.datasets import ContinuousForm, continuous_version
from clipnav.envs.submissions.checks import FileCheck, Finding, instruction_number, read_submission
from clipnav.storage import write_text
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.json_files import read_json

HINT = "write the file again in the format of docs/continuous.md"
_START_TOLERANCE = 1e-3  # metres
_LONGEST_STEP = 0.5  # metres; habitat's longest steps round obstacles are a little over 0.25


@dataclass(frozen=True, eq=False)
class SubmittedWalk:
    """Walk of a submission file.

    Attributes:
        positions: (T, 3) metres in the axes of the navigation graphs.
        stopped: Whether the agent has stopped; RxR-CE's files contain only walks that count so.
    """

    positions: np.ndarray
    stopped: bool


@dataclass(frozen=True)
class ContinuousCheck(FileCheck):
    """Result of the checks of a submission file.

    Attributes:
        walks: Valid walks by `episode_id`, in the order of the split.
    """

    walks: dict[str, SubmittedWalk]

    @property
    def usable(self) -> int:
        """Number of episodes with a valid walk."""
        return len(self.walks)


def write_ce_submission(
    path: str | Path,
    traces: Mapping[str, PoseTrace],
    episodes: Sequence[ContinuousEpisode],
    dataset: str,
    partial: bool = False,
) -> None:
    """Write walks for the test server of R2R-CE, RxR-CE or another dataset of one of these forms.

    RxR-CE's lines are sorted by id, and positions that equal the one before are written once.

    Args:
        path: File to write: JSON for R2R-CE, JSON Lines for RxR-CE.
        traces: Poses by `episode_id`.
        episodes: All episodes of the split, in all languages; for RxR-CE their `instr_id` are the
            ids of the instructions, which in RxR_VLNCE's own files differ from the ids of the
            episodes.
        dataset: Dataset of the episodes, "r2r", "rxr" or another one with continuous walks.
        partial: Write the file even if episodes are missing, which the server refuses.

    Raises:
        UserError: Episodes are missing, unknown or of another dataset. Nothing is written.
    """
    form = continuous_version(dataset).form
    _check_complete(path, traces, episodes, partial)
    if form == "r2r-ce":
        document = {}
        for episode_id, trace in traces.items():
            positions = (to_habitat(trace.positions) + 0.0).tolist()
            poses = zip(positions, heading_to_yaw(trace.headings).tolist(), strict=True)
            last = len(positions) - 1
            document[episode_id] = [
                {"position": position, "heading": yaw, "stop": trace.stopped and number == last}
                for number, (position, yaw) in enumerate(poses)
            ]
        write_text(path, json.dumps(document, allow_nan=False))
        return
    instructions = {
        e.episode_id: instruction_number(path, e.instr_id)
        for e in episodes
        if e.episode_id in traces
    }
    lines = []
    for episode_id, instruction in sorted(instructions.items(), key=itemgetter(1)):
        walked = (to_habitat(moved_positions(traces[episode_id].positions)) + 0.0).tolist()
        lines.append(json.dumps({"instruction_id": instruction, "path": walked}) + "\n")
    write_text(path, "".join(lines))


def check_continuous_submission(
    path: Path,
    form: ContinuousForm,
    episodes: Sequence[ContinuousEpisode],
    counted: frozenset[str],
) -> ContinuousCheck:
    """Read a submission file and return the walks that can be scored."""
    findings = _Findings()
    records = submitted_records(path, form)
    by_id = {e.instr_id if form == "rxr-ce" else e.episode_id: e for e in episodes}
    walks: dict[str, SubmittedWalk] = {}
    for name, record in records:
        try:
            own_id, walk = _read_record(form, name, record)
        except ValueError as error:
            findings.unreadable.cases.append(f"{name}: {error}")
            continue
        episode = by_id.get(own_id)
        if episode is None:
            findings.foreign.cases.append(truncate(own_id))
        elif episode.episode_id in walks:
            findings.duplicate.cases.append(own_id)
        elif _check_walk(episode, walk, findings):
            walks[episode.episode_id] = walk
    expected = [episode for episode in episodes if episode.instr_id in counted]
    names = {episode.episode_id for episode in expected}
    findings.outside.cases += [episode_id for episode_id in walks if episode_id not in names]
    findings.missing.cases += [e.episode_id for e in expected if e.episode_id not in walks]
    usable = {e.episode_id: walks[e.episode_id] for e in expected if e.episode_id in walks}
    return ContinuousCheck(path, len(records), len(expected), findings.nonempty(), usable)


class _Findings:
    """Findings by kind, in the order of the report."""

    def __init__(self) -> None:
        self.unreadable = Finding("records that cannot be read", True)
        self.foreign = Finding("records of episodes outside the split", True)
        self.duplicate = Finding("repeated records of an episode (not counted)", True)
        self.start = Finding("walks that do not begin at the start (not counted)", True)
        self.missing = Finding("episodes without a usable walk", True)
        self.jumps = Finding(f"steps longer than {_LONGEST_STEP} m (counted)", False)
        self.endless = Finding("walks that end without a stop (counted)", False)
        self.outside = Finding("walks of episodes that are not counted here", False)

    def nonempty(self) -> list[Finding]:
        return [finding for finding in vars(self).values() if finding.cases]


def _check_complete(
    path: str | Path,
    traces: Mapping[str, PoseTrace],
    episodes: Sequence[ContinuousEpisode],
    partial: bool,
) -> None:
    ids = {episode.episode_id for episode in episodes}
    unknown = [name for name in traces if name not in ids]
    if unknown:
        raise UserError(
            f"{path}: {len(unknown)} walks of episodes outside the split, such as {unknown[0]}; "
            "remove them"
        )
    missing = [name for name in ids if name not in traces]
    if missing and not partial:
        raise UserError(
            f"{path}: a submission requires a walk for each of {len(ids)} episodes, but "
            f"{len(missing)} are missing; run the agent on the whole split, or write a partial "
            "file with partial=True"
        )


def submitted_records(path: Path, form: ContinuousForm) -> list[tuple[str, Any]]:
    """Return the name of each record of a file, for messages, and its content."""
    if form == "rxr-ce":
        return [(f"record {k}", record) for k, record in enumerate(read_submission(path))]
    return list(read_json(path, HINT, dict[str, Any]).items())


def _read_record(form: ContinuousForm, name: str, record: Any) -> tuple[str, SubmittedWalk]:
    """Return the id of the episode (R2R-CE) or of the instruction (RxR-CE), and the walk."""
    if form == "rxr-ce":
        if not isinstance(record, dict) or not {"instruction_id", "path"} <= set(record):
            raise UserError("it has no fields 'instruction_id' and 'path'")
        return str(record["instruction_id"]), SubmittedWalk(_positions(record["path"]), True)
    if not isinstance(record, list) or not all(isinstance(pose, dict) for pose in record):
        raise UserError("it is not a list of poses")
    if not all("position" in pose and isinstance(pose.get("stop"), bool) for pose in record):
        raise UserError("a pose has no 'position' or no 'stop' that is true or false")
    positions = _positions([pose["position"] for pose in record])
    if any(pose["stop"] for pose in record[:-1]):
        raise UserError("a pose follows the stop")
    return name, SubmittedWalk(positions, record[-1]["stop"])


def _positions(points: Any) -> np.ndarray:
    """Return positions (T, 3) in the axes of the navigation graphs."""
    try:
        array = np.array(points, float)
    except (TypeError, ValueError):
        raise UserError("a position is not three numbers") from None
    if array.ndim != 2 or array.shape[1] != 3 or not len(array) or not np.isfinite(array).all():
        raise UserError("the walk is not a list of positions of three numbers")
    return from_habitat(array)


def _check_walk(episode: ContinuousEpisode, walk: SubmittedWalk, findings: _Findings) -> bool:
    """Record the findings of a walk and return whether it can be scored."""
    name = episode.episode_id
    away = float(np.linalg.norm(walk.positions[0] - np.array(episode.start)))
    if away > _START_TOLERANCE:
        findings.start.cases.append(f"{name}: {away:.2f} m from the start")
        return False
    lengths = [float(np.linalg.norm(b - a)) for a, b in pairwise(walk.positions)]
    long = [f"{name}: {length:.2f} m" for length in lengths if length > _LONGEST_STEP]
    findings.jumps.cases += long
    if not walk.stopped:
        findings.endless.cases.append(name)
    return True

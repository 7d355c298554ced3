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
from typing import Any, cast

import numpy as np

from clipnav.envs.continuous.coordinates import PoseTrace, from_habitat, heading_to_yaw, to_habitat
from clipnav.envs.continuous.episodes import ContinuousEpisode, continuous_episodes
from clipnav.envs.continuous.experts import PathKey, ReferenceWalk, expert_walks, path_key
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.measures import (
    CONTINUOUS_METRICS,
    Definition,
    Walk,
    measure_walk,
    moved_positions,
    summarise_walks,
)
from clipnav.envs.continuous.settings import ContinuousSettings, task_settings
from clipnav.envs.datasets import ContinuousForm, continuous_version
from clipnav.envs.episodes import base_language, load_episodes
from clipnav.envs.metrics import Interval, Metric
from clipnav.envs.submissions.checks import FileCheck, Finding, instruction_number, read_submission
from clipnav.envs.submissions.ground_truth import ScoringRules, counted_ids
from clipnav.envs.submissions.scores import (
    check_lines,
    evaluate_files,
    file_letter,
    group_table,
    metric_table,
    missing_line,
    results,
    scene_intervals,
)
from clipnav.envs.worlds import is_built_in, named_world, world_files
from clipnav.storage import write_text
from clipnav.storage.errors import UserError, shortened
from clipnav.storage.json_files import read_json

REMEDY = "write the file again in the format of docs/continuous.md"
_START_TOLERANCE = 1e-3  # metres
_LONGEST_STEP = 0.5  # metres; habitat's longest steps round obstacles are a little over 0.25
Measures = dict[str, float]


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
    records = _submitted_records(path, form)
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
            findings.foreign.cases.append(shortened(own_id))
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


def _submitted_records(path: Path, form: ContinuousForm) -> list[tuple[str, Any]]:
    """Return the name of each record of a file, for messages, and its content."""
    if form == "rxr-ce":
        return [(f"record {k}", record) for k, record in enumerate(read_submission(path))]
    return list(read_json(path, REMEDY, dict[str, Any]).items())


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


@dataclass(frozen=True, eq=False)
class ContinuousGroundTruth:
    """What submissions are scored against.

    Attributes:
        form: Form of the files.
        settings: The task, whose floors give the distances.
        episodes: Episodes of the split whose reference path the expert can follow.
        walks: Walks of the expert, the references of nDTW.
        counted: `instr_id` of the episodes that the rules count.
    """

    form: ContinuousForm
    settings: ContinuousSettings
    episodes: list[ContinuousEpisode]
    walks: dict[PathKey, ReferenceWalk]
    counted: frozenset[str]


@dataclass(frozen=True, eq=False)
class ScoredWalks:
    """Submission file with the measures of its walks.

    Attributes:
        checked: Result of the checks of the file.
        episodes: Scored episodes, in the order of the split.
        measures: Measures of each scored episode, see
            `clipnav.envs.continuous.measures.measure_walk`.
        reported: The reported measures by short name.
    """

    checked: ContinuousCheck
    episodes: list[ContinuousEpisode]
    measures: list[Measures]
    reported: Mapping[str, Metric]

    @property
    def metrics(self) -> dict[str, np.ndarray]:
        """Columns (B,) of the reported measures by short name."""
        return {
            short: np.array([row[metric.column] for row in self.measures])
            for short, metric in self.reported.items()
        }

    @property
    def instructions(self) -> list[str]:
        """`episode_id` of the scored episodes."""
        return [episode.episode_id for episode in self.episodes]

    def summary(self) -> dict[str, float]:
        """Return the means by short name; empty if nothing can be scored."""
        return summarise_walks(self.measures) if self.measures else {}

    def intervals(self, rules: ScoringRules) -> dict[str, Interval]:
        """Return mean and interval of each measure by short name."""
        return scene_intervals(self.metrics, self.episodes, rules)

    def results(self, rules: ScoringRules) -> dict[str, Any]:
        """Return summary and intervals for JSON; empty if nothing can be scored."""
        if not self.measures:
            return {}
        intervals = self.intervals(rules).items()
        return {
            "summary": {k: v if np.isfinite(v) else None for k, v in self.summary().items()},
            "intervals": {name: interval.to_json() for name, interval in intervals},
        }

    def by_language(self) -> dict[str, dict[str, float]]:
        """Return the means by language without the country."""
        groups: dict[str, list[Measures]] = {}
        for episode, measures in zip(self.episodes, self.measures, strict=True):
            groups.setdefault(base_language(episode.language), []).append(measures)
        return {language: summarise_walks(rows) for language, rows in sorted(groups.items())}


def load_continuous_ground_truth(rules: ScoringRules) -> ContinuousGroundTruth:
    """Load a split of the built-in houses and compute the expert's walks."""
    if len(rules.splits) > 1:
        raise UserError(
            f"--splits {' '.join(rules.splits)}: episode ids of R2R-CE start again in each split; "
            "score the splits one by one"
        )
    world = named_world(rules.world, rules.data_dir)
    if not is_built_in(world):  # before its data is missed, which would not help
        raise UserError(
            f"--dataset {rules.dataset}: scores require the floors of the buildings, which exist "
            "for --world houses and --world houses-standard only"
        )
    files = world_files(world, rules.data_dir)
    dataset = rules.instructions_dataset
    settings, form = task_settings(dataset), continuous_version(dataset).form
    split = next(iter(rules.splits))
    graph_episodes = load_episodes(dataset, split, files)
    counted = frozenset(counted_ids(graph_episodes, rules))
    episodes = continuous_episodes(dataset, graph_episodes, files.connectivity_dir)
    needed = [e for e in episodes if e.instr_id in counted]
    walks = expert_walks(needed, settings)
    kept = [
        e
        for e in episodes
        if path_key(e) not in walks or walks[path_key(e)].is_complete or not e.has_goal
    ]
    return ContinuousGroundTruth(form, settings, kept, walks, counted)


def score_continuous_submission(
    path: str | Path, rules: ScoringRules, truth: ContinuousGroundTruth
) -> ScoredWalks:
    """Read, check and score a submission file."""
    checked = check_continuous_submission(Path(path), truth.form, truth.episodes, truth.counted)
    simulator = HouseSimulator(truth.settings)
    definition = cast(Definition, rules.chosen_definition)
    episodes, measures = [], []
    for episode in truth.episodes:
        if not episode.has_goal or episode.instr_id not in truth.counted:
            continue
        walk = checked.walks.get(episode.episode_id)
        if walk is None and rules.missing == "stand-still":
            walk = SubmittedWalk(np.array([episode.start]), True)
        if walk is None:
            continue
        floor = simulator.floor(episode.scan)
        distances = floor.distances(floor.project(walk.positions), np.array(episode.goal))
        own = Walk(walk.positions, distances, walk.stopped)
        reference = truth.walks[path_key(episode)].positions
        episodes.append(episode)
        measures.append(measure_walk(own, reference, definition, rules.dtw, rules.threshold))
    # The files of RxR-CE leave turns out, so their number of actions is unknown.
    unknown = {"steps"} if truth.form == "rxr-ce" else set()
    metrics = {short: m for short, m in CONTINUOUS_METRICS.items() if short not in unknown}
    return ScoredWalks(checked, episodes, measures, metrics)


def evaluate_continuous_submissions(
    files: Sequence[Path], rules: ScoringRules, json_path: Path | None = None
) -> int:
    """Score submission files, print the report and optionally write the results as JSON."""
    for path in files:  # the walks of the expert take longer
        _submitted_records(path, continuous_version(rules.instructions_dataset).form)
    truth = load_continuous_ground_truth(rules)
    return evaluate_files(
        files,
        lambda path: score_continuous_submission(path, rules, truth),
        lambda scored: _continuous_report(scored, rules),
        lambda scored: results(
            scored, rules, {"definition": rules.chosen_definition, "dtw": rules.dtw}
        ),
        json_path,
    )


def _continuous_report(scored: Sequence[ScoredWalks], rules: ScoringRules) -> str:
    """Return the report on submissions that were scored by the same rules."""
    named = {file_letter(number): walks for number, walks in enumerate(scored)}
    parts = []
    for name, walks in named.items():
        checked = walks.checked
        lines = check_lines(name, checked, walks.episodes, rules)
        if unreachable := int(walks.summary().get("unreachable", 0)):
            lines.append(
                f"  {unreachable} walks end where the goal cannot be reached: no success, left out "
                "of the mean NE"
            )
        if walks.episodes and checked.usable < checked.expected:
            lines.append(missing_line(checked, "walk", rules))
        parts.append("\n".join(lines))
    usable = {name: walks for name, walks in named.items() if walks.measures}
    if usable:
        reported = scored[0].reported
        parts.append(metric_table(usable, reported, rules))
        languages = {name: walks.by_language() for name, walks in usable.items()}
        parts += group_table("language", languages, reported)
    return "\n\n".join(parts)

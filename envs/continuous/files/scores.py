"""Scores of submissions of continuous walks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from clipnav.envs.continuous.episodes import ContinuousEpisode, continuous_episodes
from clipnav.envs.continuous.experts import PathKey, ReferenceWalk, expert_walks, path_key
from clipnav.envs.continuous.files.submissions import (
    ContinuousCheck,
    SubmittedWalk,
    check_continuous_submission,
    submitted_records,
)
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.measures import (
    Definition,
    Walk,
    continuous_metrics,
    measure_walk,
    summarise_walks,
)
from clipnav.envs.continuous.settings import ContinuousSettings, task_settings
from clipnav.envs.datasets import ContinuousForm, continuous_version
from clipnav.envs.episodes import base_language, load_episodes
from clipnav.envs.metrics import Interval, Metric
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
from clipnav.storage.errors import UserError

Measures = dict[str, float]


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
    metrics = {short: m for short, m in continuous_metrics().items() if short not in unknown}
    return ScoredWalks(checked, episodes, measures, metrics)


def evaluate_continuous_submissions(
    files: Sequence[Path], rules: ScoringRules, json_path: Path | None = None
) -> int:
    """Score submission files, print the report and optionally write the results as JSON."""
    for path in files:  # the walks of the expert take longer
        submitted_records(path, continuous_version(rules.instructions_dataset).form)
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

"""Scores of submission files: means, intervals, groups and paired differences between files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from envs.episodes import Episode, base_language, load_episodes
from envs.episodes.paths import without_turns
from envs.graphs.nav_graph import NavGraph
from envs.metrics import (
    SUCCESS_THRESHOLD,
    Interval,
    bootstrap_intervals,
    score_paths,
    summarise,
    summarise_groups,
)
from envs.metrics.summaries import columns_named
from envs.submissions.checks import SubmissionCheck, check_submission, read_submission
from envs.worlds import Dataset, World, named_world, world_files
from training.settings import check_counts


@dataclass(frozen=True)
class ScoringRules:
    """Instructions to score, and definitions of the metrics."""

    dataset: Dataset = "r2r"
    """Dataset of the instructions."""
    split: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Split of the files, val_unseen by default; repeat the flag for several splits."""
    world: World | None = None
    """World of the graphs and annotations; by default matterport with a data folder, else
    houses."""
    data_dir: Path | None = None
    """Data folder of the world matterport."""
    language: str | None = None
    """Only language to score, such as en or en-IN."""
    instructions_per_path: int | None = None
    """Number of instructions per path to score, the first ones in the language; all by default. 3
    gives the results of Matterport3DSimulator's eval.py, which ignores the fourth instruction of
    one path of val_seen."""
    missing: Literal["leave-out", "stand-still"] = "leave-out"
    """Treatment of instructions without a valid path: leave them out of the means, or score a path
    of only the start."""
    turns: Literal["keep", "drop"] = "keep"
    """Whether repetitions of a viewpoint, which EnvDrop writes for turns in place, count in nDTW,
    sDTW and steps."""
    threshold: float = SUCCESS_THRESHOLD
    """Success radius in metres; also the scale of nDTW and CLS."""
    confidence: float = 0.95
    """Confidence level of the intervals."""
    resamples: int = 10_000
    """Number of bootstrap resamples of the paths."""
    seed: int = 0
    """Random seed of the bootstrap."""

    def __post_init__(self) -> None:
        check_counts(self, ("instructions_per_path",))

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits to score."""
        return self.split or ("val_unseen",)


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Ground truth that submissions are scored against.

    Attributes:
        episodes: All episodes of the splits.
        split_of: Split of each episode by instr_id.
        graphs: Navigation graphs by scan.
        counted: Ids of the instructions that the rules count.
    """

    episodes: list[Episode]
    split_of: dict[str, str]
    graphs: dict[str, NavGraph]
    counted: set[str]


@dataclass(frozen=True, eq=False)
class ScoredSubmission:
    """Submission file with the metrics of its paths.

    Attributes:
        checked: Result of the checks of the file.
        episodes: Scored episodes, in the order of the split.
        split_of: Split of each scored episode.
        scores: Columns of `score_paths`, `steps` (number of entries after the first) and `moves`
            (number of steps to another viewpoint); empty if nothing can be scored.
        scores_without_turns: The same columns with turns dropped; empty if the file has no turns.
    """

    checked: SubmissionCheck
    episodes: list[Episode]
    split_of: list[str]
    scores: dict[str, np.ndarray]
    scores_without_turns: dict[str, np.ndarray]

    @property
    def metrics(self) -> dict[str, np.ndarray]:
        """Columns of the report by short name."""
        return _report_columns(self.scores)

    def intervals(self, rules: ScoringRules) -> dict[str, Interval]:
        """Return mean and interval of each metric by short name."""
        return _bootstrap(self.metrics, self.episodes, rules)

    def by_language(self) -> dict[str, dict[str, float]]:
        """Return the summaries by language without the country."""
        return summarise_groups(self.scores, [base_language(e.language) for e in self.episodes])

    def by_split(self) -> dict[str, dict[str, float]]:
        """Return the summaries by split."""
        return summarise_groups(self.scores, self.split_of)


def load_ground_truth(rules: ScoringRules) -> GroundTruth:
    """Load the splits and graphs that submissions are scored against.

    Raises:
        FileNotFoundError: There is no such split or data folder.
        ValueError: The data is damaged, two splits share an instruction, or no instruction is
            left to score.
    """
    files = world_files(named_world(rules.world, rules.data_dir), rules.data_dir)
    split_of: dict[str, str] = {}
    episodes: list[Episode] = []
    for split in dict.fromkeys(rules.splits):
        for episode in load_episodes(rules.dataset, split, files):
            other = split_of.setdefault(episode.instr_id, split)
            if other != split:
                raise ValueError(
                    f"instruction {episode.instr_id} is in both {other} and {split}; score these "
                    "splits separately"
                )
            episodes.append(episode)
    counted = _counted(episodes, rules)
    if not counted:
        raise ValueError(
            f"no instruction in language '{rules.language}'; use another --language, or leave it "
            "out"
        )
    scans = sorted({episode.scan for episode in episodes})
    graphs = {scan: NavGraph.load(scan, files.connectivity_dir) for scan in scans}
    return GroundTruth(episodes, split_of, graphs, counted)


def score_submission(
    path: Path, ground_truth: GroundTruth, rules: ScoringRules
) -> ScoredSubmission:
    """Read, check and score a submission file.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not JSON; the message names the record.
    """
    records = read_submission(path)
    checked = check_submission(
        path, records, ground_truth.episodes, ground_truth.graphs, ground_truth.counted
    )
    walked = checked.trajectories
    scores_missing = rules.missing == "stand-still"
    episodes = [
        e
        for e in ground_truth.episodes
        if e.has_goal
        and (e.instr_id in walked or (scores_missing and e.instr_id in ground_truth.counted))
    ]
    written = [walked.get(e.instr_id, e.path[:1]) for e in episodes]
    plain = [without_turns(path) for path in written]
    graphs = [ground_truth.graphs[e.scan] for e in episodes]
    scores_without_turns = _scores(graphs, plain, plain, episodes, rules.threshold)
    has_turns = written != plain
    scores = scores_without_turns
    if has_turns and rules.turns == "keep":
        scores = _scores(graphs, written, plain, episodes, rules.threshold)
    return ScoredSubmission(
        checked,
        episodes,
        [ground_truth.split_of[e.instr_id] for e in episodes],
        scores,
        scores_without_turns if has_turns else {},
    )


def differences(
    first: ScoredSubmission, second: ScoredSubmission, rules: ScoringRules
) -> tuple[int, dict[str, Interval]]:
    """Return the mean paired differences, second minus first, over the instructions of both files.

    Returns:
        Number of shared instructions, and mean difference with its interval by metric (empty if no
        instruction is shared).
    """
    rows = {e.instr_id: row for row, e in enumerate(first.episodes)}
    shared = [row for row, e in enumerate(second.episodes) if e.instr_id in rows]
    if not shared:
        return 0, {}
    episodes = [second.episodes[row] for row in shared]
    others = [rows[e.instr_id] for e in episodes]
    before, after = first.metrics, second.metrics
    gains = {name: after[name][shared] - before[name][others] for name in after}
    return len(shared), _bootstrap(gains, episodes, rules)


def results(scored: Sequence[ScoredSubmission], rules: ScoringRules) -> dict[str, Any]:
    """Return the results of files that were scored by the same rules, for JSON."""
    first, *others = scored
    pairs = [(other, *differences(first, other, rules)) for other in others]
    return {
        "dataset": rules.dataset,
        "splits": list(rules.splits),
        "language": rules.language,
        "missing": rules.missing,
        "turns": rules.turns,
        "threshold_m": rules.threshold,
        "confidence": rules.confidence,
        "resamples": rules.resamples,
        "seed": rules.seed,
        "submissions": [_file_results(submission, rules) for submission in scored],
        "differences": [
            {
                "first": str(first.checked.path),
                "second": str(other.checked.path),
                "instructions": count,
                "metrics": {name: interval._asdict() for name, interval in gains.items()},
            }
            for other, count, gains in pairs
        ],
    }


def _file_results(scored: ScoredSubmission, rules: ScoringRules) -> dict[str, Any]:
    checked = scored.checked
    outcome: dict[str, Any] = {
        "file": str(checked.path),
        "records": checked.records,
        "instructions": checked.expected,
        "usable": len(checked.trajectories),
        "scored": len(scored.episodes),
        "faulty": checked.faulty,
        "findings": [
            {"what": f.kind, "fault": f.fault, "count": len(f.cases), "places": f.cases}
            for f in checked.findings
        ],
    }
    if not scored.scores:
        return outcome
    steps = {name: float(scored.scores[name].mean()) for name in ("steps", "moves")}
    outcome["summary"] = summarise(scored.scores) | steps
    outcome["intervals"] = {
        name: interval._asdict() for name, interval in scored.intervals(rules).items()
    }
    outcome["by_language"] = scored.by_language()
    outcome["by_split"] = scored.by_split()
    if scored.scores_without_turns:
        outcome["without_turns"] = summarise(scored.scores_without_turns)
    return outcome


def _counted(episodes: Sequence[Episode], rules: ScoringRules) -> set[str]:
    """Return the ids that match the language and the number of instructions per path."""

    def is_counted(episode: Episode) -> bool:
        return rules.language in (None, episode.language, base_language(episode.language))

    of_path: dict[tuple[str, int], list[Episode]] = {}
    for episode in episodes:
        of_path.setdefault((episode.scan, episode.path_id), []).append(episode)
    return {
        episode.instr_id
        for group in of_path.values()
        for episode in islice(filter(is_counted, group), rules.instructions_per_path)
    }


def _scores(
    graphs: Sequence[NavGraph],
    written: Sequence[Sequence[str]],
    plain: Sequence[Sequence[str]],
    episodes: Sequence[Episode],
    threshold: float,
) -> dict[str, np.ndarray]:
    """Return the columns of metrics, steps and moves; empty if there is no path."""
    if not episodes:
        return {}
    return {
        **score_paths(graphs, written, [e.path for e in episodes], threshold),
        "steps": np.array([len(path) - 1.0 for path in written]),
        "moves": np.array([len(path) - 1.0 for path in plain]),
    }


def _report_columns(scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    if not scores:
        return {}
    return {**columns_named(scores), "steps": scores["steps"], "moves": scores["moves"]}


def _bootstrap(
    columns: Mapping[str, np.ndarray], episodes: Sequence[Episode], rules: ScoringRules
) -> dict[str, Interval]:
    return bootstrap_intervals(
        columns,
        rules.seed,
        clusters=[(e.scan, e.path_id) for e in episodes],
        confidence=rules.confidence,
        resamples=rules.resamples,
    )

"""Scores of submission files: means, intervals, groups and paired differences between files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from envs.episodes import Episode, base_language
from envs.episodes.paths import without_turns
from envs.graphs.nav_graph import NavGraph
from envs.metrics import (
    Interval,
    bootstrap_intervals,
    score_paths,
    summarise,
    summarise_groups,
)
from envs.metrics.summaries import columns_named
from envs.submissions.checks import SubmissionCheck, check_submission, read_submission
from envs.submissions.ground_truth import (
    DEFAULT_RULES,
    GroundTruth,
    ScoringRules,
    load_ground_truth,
)


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

    @property
    def summary(self) -> dict[str, float]:
        """Means by short name and number of `episodes`; empty if nothing can be scored."""
        if not self.scores:
            return {}
        return summarise(self.scores) | {
            name: float(self.scores[name].mean()) for name in ("steps", "moves")
        }

    def intervals(self, rules: ScoringRules) -> dict[str, Interval]:
        """Return mean and interval of each metric by short name."""
        return _bootstrap(self.metrics, self.episodes, rules)

    def by_language(self) -> dict[str, dict[str, float]]:
        """Return the summaries by language without the country."""
        return summarise_groups(self.scores, [base_language(e.language) for e in self.episodes])

    def by_split(self) -> dict[str, dict[str, float]]:
        """Return the summaries by split."""
        return summarise_groups(self.scores, self.split_of)


def score_submission(
    path: str | Path,
    rules: ScoringRules = DEFAULT_RULES,
    ground_truth: GroundTruth | None = None,
) -> ScoredSubmission:
    """Read, check and score a submission file.

    Args:
        path: File in the format of R2R's or RxR's test server.
        rules: Instructions to score and definitions of the metrics; by default all instructions of
            R2R's val_unseen in the built-in houses.
        ground_truth: Result of `load_ground_truth` with the same rules, to score several files
            without loading the data again; loaded here by default.

    Raises:
        FileNotFoundError: The file or the data does not exist.
        ValueError: The file is not JSON, and the message names the record; or the data is damaged.
    """
    path = Path(path)
    records = read_submission(path)
    ground_truth = load_ground_truth(rules) if ground_truth is None else ground_truth
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
    outcome["summary"] = scored.summary
    outcome["intervals"] = {
        name: interval._asdict() for name, interval in scored.intervals(rules).items()
    }
    outcome["by_language"] = scored.by_language()
    outcome["by_split"] = scored.by_split()
    if scored.scores_without_turns:
        outcome["without_turns"] = summarise(scored.scores_without_turns)
    return outcome


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

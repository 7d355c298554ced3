"""Scores of submission files: means, intervals, groups and paired differences between files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.envs.episodes import Episode, base_language
from clipnav.envs.episodes.paths import without_turns
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics import (
    Interval,
    bootstrap_intervals,
    score_paths,
    summarise,
    summarise_groups,
)
from clipnav.envs.metrics.summaries import columns_named
from clipnav.envs.submissions.checks import SubmissionCheck, check_submission, read_submission
from clipnav.envs.submissions.comparison import results
from clipnav.envs.submissions.ground_truth import (
    DEFAULT_RULES,
    GroundTruth,
    ScoringRules,
    check_on_graphs,
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

    @property
    def instructions(self) -> list[str]:
        """`instr_id` of the scored episodes."""
        return [episode.instr_id for episode in self.episodes]

    def intervals(self, rules: ScoringRules) -> dict[str, Interval]:
        """Return mean and interval of each metric by short name."""
        return self.bootstrap(self.metrics, range(len(self.episodes)), rules)

    def bootstrap(
        self, columns: Mapping[str, np.ndarray], rows: Sequence[int], rules: ScoringRules
    ) -> dict[str, Interval]:
        """Return the means and intervals of columns (M,) of the episodes `rows` (M,)."""
        return bootstrap_intervals(
            columns,
            rules.seed,
            clusters=[self.episodes[row].scan for row in rows],
            confidence=rules.confidence,
            resamples=rules.resamples,
        )

    def results(self, rules: ScoringRules) -> dict[str, Any]:
        """Return summary, intervals and groups for JSON; empty if nothing can be scored."""
        if not self.scores:
            return {}
        intervals = self.intervals(rules).items()
        outcome: dict[str, Any] = {
            "summary": self.summary,
            "intervals": {name: interval.to_json() for name, interval in intervals},
            "by_language": self.by_language(),
            "by_split": self.by_split(),
        }
        if self.scores_without_turns:
            outcome["without_turns"] = summarise(self.scores_without_turns)
        return outcome

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
        UserError: The file is not JSON, and the message names the record; the data is damaged; or
            the rules are for walks in continuous environments.
    """
    check_on_graphs(rules)
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


def submission_results(scored: Sequence[ScoredSubmission], rules: ScoringRules) -> dict[str, Any]:
    """Return the results of files that were scored by the same rules, for JSON."""
    return results(scored, rules, {"turns": rules.turns})


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

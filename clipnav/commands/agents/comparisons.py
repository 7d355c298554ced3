"""Arguments and output files that clipnav compare-agents and clipnav compare-encoders share."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from clipnav.comparisons import ComparisonArguments, write_report
from clipnav.storage.errors import UserError

if TYPE_CHECKING:
    from clipnav.training.comparisons import ComparisonRow

Baseline = Literal["random", "forward"]


@dataclass(frozen=True)
class AgentComparisonArguments(ComparisonArguments):
    """Seeds, splits and baselines of a comparison of agents."""

    splits: tuple[str, ...] = ("val_seen", "val_unseen")
    """Splits to score on; the first one selects the best weights of a run."""
    baselines: tuple[Baseline, ...] = ("random", "forward")
    """Non-learning baselines to add as rows."""


def run_comparison(
    arguments: AgentComparisonArguments,
    folder: Path,
    rows: "Sequence[ComparisonRow]",
    common: Sequence[str],
) -> None:
    """Train and score rows, write comparison.json, .md and .png, and print the table."""
    from clipnav.agents.experiments.comparison import (
        METRICS,
        baseline_scores,
        check_episodes,
        train_all,
    )
    from clipnav.envs.metrics.comparison_report import make_report
    from clipnav.training.comparisons import ComparisonRow

    named = {f"{name} agent": name for name in arguments.baselines}
    taken = named.keys() & {row.name for row in rows}
    if taken:
        raise UserError(f"{min(taken)!r} is the name of a baseline; rename the row")
    # Trainings take hours, so rows that cannot be compared are reported first.
    check_episodes([*rows, *(ComparisonRow(row_name, tuple(common)) for row_name in named)])
    scores = train_all(rows, arguments.seeds, folder / "runs", arguments.workers)
    for row_name, baseline in named.items():
        scores[row_name] = baseline_scores(common, baseline, arguments.seeds)
    write_report(make_report(scores, METRICS), folder)

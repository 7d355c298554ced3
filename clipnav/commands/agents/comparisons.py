"""Arguments and output files that clipnav compare-agents and clipnav compare-encoders share."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from training.settings import check_counts

if TYPE_CHECKING:
    from agents.experiments.comparison import ComparisonRow

Baseline = Literal["random", "forward"]


@dataclass(frozen=True)
class ComparisonArguments:
    """Seeds, splits and baselines of a comparison."""

    baselines: tuple[Baseline, ...] = ("random", "forward")
    """Non-learning baselines to add as rows."""
    seeds: int = 3
    """Number of trainings of each row, with seeds from 0."""
    splits: tuple[str, ...] = ("val_seen", "val_unseen")
    """Splits to score on; the first one selects the best weights of a run."""
    workers: int = 2
    """Number of worker processes that train, with one thread each."""

    def __post_init__(self) -> None:
        check_counts(self, ("seeds", "workers"))
        if not self.splits:
            raise ValueError("--splits: no split; name at least one")

    @property
    def choice(self) -> list[str]:
        """Arguments of clipnav train-agent for splits and threads."""
        splits = ["--evaluation-splits", *self.splits, "--select-by", self.splits[0]]
        return [*splits, "--threads", "1"]


def run_comparison(
    arguments: ComparisonArguments,
    folder: Path,
    rows: "Sequence[ComparisonRow]",
    common: Sequence[str],
) -> None:
    """Train and score rows, write comparison.json, .md and .png, and print the table.

    Args:
        arguments: Arguments of the command.
        folder: Folder of runs and results.
        rows: Rows to train; the others are compared with the first.
        common: Arguments of clipnav train-agent for all rows, baselines included.

    Raises:
        ValueError: A row has the name of a baseline. For other errors, see `train_all`.
    """
    from agents.experiments.comparison import baseline_scores, train_all
    from agents.experiments.comparison_report import (
        make_report,
        markdown_table,
        seed_intervals,
        text_table,
        to_json,
    )
    from storage import write_text
    from viewer.outputs import plots

    named = {f"{name} agent": name for name in arguments.baselines}
    taken = named.keys() & {row.name for row in rows}
    if taken:
        raise ValueError(f"{min(taken)!r} is the name of a baseline; rename the row")
    scores = train_all(rows, arguments.seeds, folder / "runs", arguments.workers)
    for row_name, baseline in named.items():
        scores[row_name] = baseline_scores(common, baseline, arguments.seeds)
    report = make_report(scores)
    write_text(folder / "comparison.json", json.dumps(to_json(report), indent=2) + "\n")
    write_text(folder / "comparison.md", markdown_table(report))
    plots.save(plots.intervals(seed_intervals(report)), folder / "comparison.png")
    print(text_table(report))
    print(f"{folder}: comparison.json, comparison.md, comparison.png")


def split_command_line(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split a command line at -- into the words before it and the words after it."""
    words = list(words)
    index = words.index("--") if "--" in words else len(words)
    return words[:index], words[index + 1 :]

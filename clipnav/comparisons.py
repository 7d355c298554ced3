"""Command lines and output files that all comparisons of trainings share."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from training.settings import check_counts

if TYPE_CHECKING:
    from envs.metrics.comparison_report import Report


@dataclass(frozen=True)
class ComparisonArguments:
    """Seeds, splits and processes of a comparison."""

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
        """Arguments of the training command for splits and threads."""
        splits = ["--evaluation-splits", *self.splits, "--select-by", self.splits[0]]
        return [*splits, "--threads", "1"]


def write_report(report: "Report", folder: Path) -> None:
    """Write comparison.json, .md and .png into a folder, and print the table."""
    from envs.metrics.comparison_report import (
        markdown_table,
        seed_intervals,
        text_table,
        to_json,
    )
    from storage import write_text
    from viewer.outputs import plots

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

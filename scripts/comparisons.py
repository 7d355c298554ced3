"""What the commands that compare trainings share: arguments, and the files that they leave."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from training.settings import check_counts

if TYPE_CHECKING:
    from agents.experiments.comparison import Contestant

Baseline = Literal["random", "forward"]


@dataclass(frozen=True)
class ComparisonArguments:
    """How often each row is trained, and what is done with it."""

    baselines: tuple[Baseline, ...] = ("random", "forward")
    """More rows: agents that learn nothing."""
    seeds: int = 3
    """Trainings of each row, with seeds from 0."""
    splits: tuple[str, ...] = ("val_seen", "val_unseen")
    """Splits to score on; the first one says which weights of a run are used."""
    workers: int = 2
    """Processes that train, each on one thread."""

    def __post_init__(self) -> None:
        check_counts(self, ("seeds", "workers"))
        if not self.splits:
            raise ValueError("--splits: name one at least")

    @property
    def choice(self) -> list[str]:
        """Arguments of train_agent.py about splits and threads."""
        splits = ["--evaluation-splits", *self.splits, "--select-by", self.splits[0]]
        return [*splits, "--threads", "1"]


def carry_out_comparison(
    arguments: ComparisonArguments,
    folder: Path,
    contestants: "Sequence[Contestant]",
    common: Sequence[str],
) -> None:
    """Train, score, write comparison.json, comparison.md and comparison.png, print the table.

    Args:
        arguments: Of the command.
        folder: Where to write.
        contestants: Rows to train; the first is what others are held against.
        common: Arguments of train_agent.py that hold for all rows, baselines included.

    Raises:
        ValueError: A row has the name of a baseline; for the rest see `train_all`.
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
    taken = named.keys() & {one.name for one in contestants}
    if taken:
        raise ValueError(f"{min(taken)!r} is a baseline's name; call the row something else")
    rows = train_all(contestants, arguments.seeds, folder / "runs", arguments.workers)
    for row, name in named.items():
        rows[row] = baseline_scores(common, name, arguments.seeds)
    report = make_report(rows)
    write_text(folder / "comparison.json", json.dumps(to_json(report), indent=2) + "\n")
    write_text(folder / "comparison.md", markdown_table(report))
    plots.save(plots.intervals(seed_intervals(report)), folder / "comparison.png")
    print(text_table(report))
    print(f"{folder}: comparison.json, comparison.md, comparison.png")


def split_command_line(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """What stands before -- and what behind it."""
    words = list(words)
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place + 1 :]

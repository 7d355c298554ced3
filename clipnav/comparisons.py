"""Command lines and output files that the comparisons of trainings share."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clipnav.storage.errors import NoEffectError, UserError
from clipnav.training.settings import check_counts, check_splits, flag_text

if TYPE_CHECKING:
    from clipnav.envs.metrics.comparison_report import Report
    from clipnav.training.comparisons import ComparisonRow

Baseline = Literal["random", "forward"]
# Flags of trainings that a comparison sets, and the flags of the comparison that determine them.
_OWN_FLAGS = {
    "--seed": "--seeds",
    "--output": "--output",
    "--select-by": "--splits",
    "--evaluation-splits": "--splits",
}


@dataclass(frozen=True)
class ComparisonArguments:
    """Seeds, splits and processes of a comparison."""

    seeds: int = 3
    """Number of trainings of each row, with seeds from 0."""
    splits: tuple[str, ...] | None = None
    """Splits to score on; the first one selects the best weights of a run. Default: those of the
    preset of the trainings."""
    workers: int = 2
    """Number of worker processes that train, with one thread each."""

    def __post_init__(self) -> None:
        check_counts(self, ("seeds", "workers"))
        if self.splits is not None:
            check_splits(self, ("splits",))

    @property
    def choice(self) -> list[str]:
        """Arguments of the training command for splits, which must be known, and threads."""
        assert self.splits is not None
        splits = ["--evaluation-splits", *self.splits, "--select-by", self.splits[0]]
        return [*splits, "--threads", "1"]


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
        baseline_scores,
        check_episodes,
        train_all,
    )
    from clipnav.envs.metrics import mean_metrics
    from clipnav.envs.metrics.comparison_report import make_report
    from clipnav.training.comparisons import ComparisonRow, write_scores

    named = {f"{name} agent": name for name in arguments.baselines}
    taken = named.keys() & {row.name for row in rows}
    if taken:
        raise UserError(f"{min(taken)!r} is the name of a baseline; rename the row")
    # Trainings take hours, so rows that cannot be compared are reported first.
    check_episodes([*rows, *(ComparisonRow(row_name, tuple(common)) for row_name in named)])
    scores = train_all(rows, arguments.seeds, folder / "runs", arguments.workers)
    for row_name, baseline in named.items():
        scores[row_name] = baseline_scores(common, baseline, arguments.seeds)
        write_scores(folder / "runs", row_name, scores[row_name])
    write_report(make_report(scores, [*mean_metrics("comparison")]), folder)


def write_report(report: "Report", folder: Path) -> None:
    """Write comparison.json, .md and .png into a folder, and print the table."""
    from clipnav.envs.metrics.comparison_report import (
        markdown_table,
        seed_intervals,
        text_table,
        to_json,
    )
    from clipnav.storage import write_text
    from clipnav.viewer.outputs import plots

    write_text(folder / "comparison.json", json.dumps(to_json(report), indent=2) + "\n")
    write_text(folder / "comparison.md", markdown_table(report))
    plots.save(plots.intervals(seed_intervals(report)), folder / "comparison.png")
    print(text_table(report))
    print(f"{folder}: comparison.json, comparison.md, comparison.png")


def split_command_line(
    words: Sequence[str], own_flags: Mapping[str, str] | None = None
) -> tuple[list[str], list[str]]:
    """Split a command line at -- into the words before it and the words after it."""
    words = list(words)
    index = words.index("--") if "--" in words else len(words)
    own, training = words[:index], words[index + 1 :]
    check_training_flags(training, "after --", own_flags)
    return own, training


def check_training_flags(
    words: Sequence[str], place: str, own_flags: Mapping[str, str] | None = None
) -> None:
    """Check that arguments of a training contain no flag that the comparison sets, nor --resume."""
    own_flags = {**_OWN_FLAGS, **(own_flags or {})}
    for word in words:
        flag = _flag_of(word)
        if flag == "--resume":  # it would train that run further, not one of the comparison
            raise UserError(
                f"{flag} {place}: omit it; the same command resumes an interrupted comparison"
            )
        if flag in own_flags:
            raise UserError(
                f"{flag} {place}: the comparison sets it for each training; omit it, or set "
                f"{own_flags[flag]} before --"
            )


def effective_rows(
    rows: Sequence[tuple[str, Sequence[str]]],
    shared: Sequence[str],
    parse: Callable[[list[str]], Any],
) -> "list[ComparisonRow]":
    """Return the rows of a comparison, each with the shared arguments that have an effect on it."""
    from clipnav.training.comparisons import ComparisonRow

    made, idle = [], []
    for name, own in rows:
        words, without_effect = list(shared), dict[str, NoEffectError]()
        while True:
            row = ComparisonRow(name, (*words, *own))
            try:
                parse(row.arguments_for(0))
                break
            except NoEffectError as error:
                shorter = _without_flag(words, error.setting)
                if shorter == words:  # the flag is one of the row's own
                    raise
                words, without_effect[error.setting] = shorter, error
        made.append(row)
        idle.append(without_effect)
    for setting, error in idle[0].items() if idle else ():
        if all(setting in others for others in idle):
            raise error
    return made


def _without_flag(words: Sequence[str], setting: str) -> list[str]:
    """Return arguments without the flags of a setting, and without their values."""
    flags = {flag_text(setting, is_set) for is_set in (True, False)}
    kept, is_removed = [], False
    for word in words:
        if word.startswith("--"):
            is_removed = _flag_of(word) in flags
        if not is_removed:
            kept.append(word)
    return kept


def _flag_of(word: str) -> str:
    """Return the flag of a word such as "--name=value"; the parser accepts underscores, too."""
    return word.partition("=")[0].replace("_", "-")

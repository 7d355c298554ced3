r"""Which training makes the better agent? Train in several ways, each with several seeds.

$ compare_agents.py --rows imitation= "rewards too=--reinforcement.weight 1" -- --iterations 2000
$ compare_agents.py --rows "annotated=--teacher reference" "shortest=--teacher shortest" \
    -- --dataset rxr
$ compare_agents.py --rows "longer=" "with a speaker=--back-translation.speaker runs/speaker" \
    -- --start-from runs/comparison/runs/imitation-{seed}

All rows are scored on the evaluation splits: OUTPUT gets comparison.json, comparison.md and
comparison.png, with a mean and its interval over seeds for each metric, and each row's difference
from the first one on the same paths. What an interrupted comparison finished is kept, and what it
began goes on when the same command is given again. Arguments behind -- are those of train_agent.py
and hold for all rows.

The weights of a run are those that were best on the first of the splits, so that the second one
has had no say in anything.
"""

from complaints import friendly_errors

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from comparisons import ComparisonArguments, carry_out_comparison, split_command_line


@dataclass(frozen=True)
class CompareArguments(ComparisonArguments):
    """Which followers are trained, and how each is named."""

    rows: tuple[str, ...] = ("imitation=", "reinforcement=--reinforcement.weight 1")
    """Rows of the table, each a name, "=" and the arguments of train_agent.py that are its own. The
    first is what others are held against. In all arguments {seed} stands for the seed, so that rows
    can start from the runs of an earlier comparison."""
    output: Path | None = None
    """Folder of runs and results, by default runs/comparison."""


def main(arguments: CompareArguments, training: Sequence[str] = ()) -> None:
    """Run the command.

    Args:
        arguments: Its own arguments.
        training: Those of train_agent.py.
    """
    from agents.experiments.comparison import Contestant

    common = [*arguments.choice, *training]
    rows = [Contestant(name, (*common, *words)) for name, words in map(parse_row, arguments.rows)]
    carry_out_comparison(arguments, arguments.output or Path("runs/comparison"), rows, common)


def parse_row(text: str) -> tuple[str, list[str]]:
    """Name and arguments of a row.

    Raises:
        ValueError: It has no name or no "=".
    """
    name, equals, words = text.partition("=")
    if not name.strip() or not equals:
        raise ValueError(f"--rows {text!r}: write NAME=ARGUMENTS, or NAME= where there are none")
    return name.strip(), shlex.split(words)


if __name__ == "__main__":
    own, training = split_command_line(sys.argv[1:])
    with friendly_errors():
        main(tyro.cli(CompareArguments, description=__doc__, args=own), training)

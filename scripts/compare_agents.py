r"""Compare ways of training an agent: train each with several seeds and score the runs.

$ compare_agents.py --rows imitation= "reinforcement=--reinforcement.weight 1" -- --iterations 2000
$ compare_agents.py --rows "reference=--teacher reference" "shortest=--teacher shortest" \
    -- --dataset rxr
$ compare_agents.py --rows "longer=" "with a speaker=--back-translation.speaker runs/speaker" \
    -- --start-from runs/comparison/runs/imitation-{seed}

All rows are scored on the evaluation splits. The folder --output receives comparison.json,
comparison.md and comparison.png: for each metric the mean with its interval over seeds, and the
difference of each row from the first on the same paths. Arguments after -- are those of
train_agent.py and apply to all rows. To resume an interrupted comparison, give the same command
again: finished runs are kept.

The first of the splits selects the best weights of a run; the other splits are used for scores
only.
"""

from complaints import friendly_errors

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from comparisons import ComparisonArguments, run_comparison, split_command_line


@dataclass(frozen=True)
class CompareArguments(ComparisonArguments):
    """Rows of the comparison and folder of the results."""

    rows: tuple[str, ...] = ("imitation=", "reinforcement=--reinforcement.weight 1")
    """Rows of the table: a name, "=" and arguments of train_agent.py. The others are compared with
    the first row. {seed} in an argument is replaced by the seed, so that rows can start from the
    runs of an earlier comparison."""
    output: Path | None = None
    """Folder of runs and results; runs/comparison by default."""


def main(arguments: CompareArguments, training: Sequence[str] = ()) -> None:
    """Train and compare the rows.

    Args:
        arguments: Arguments of this command.
        training: Arguments of train_agent.py for all rows.
    """
    from agents.experiments.comparison import ComparisonRow

    common = [*arguments.choice, *training]
    rows = [
        ComparisonRow(name, (*common, *words)) for name, words in map(parse_row, arguments.rows)
    ]
    run_comparison(arguments, arguments.output or Path("runs/comparison"), rows, common)


def parse_row(text: str) -> tuple[str, list[str]]:
    """Return the name and the arguments of a row.

    Raises:
        ValueError: The row has no name or no "=".
    """
    name, equals, words = text.partition("=")
    if not name.strip() or not equals:
        raise ValueError(f"--rows {text!r}: not a row; write NAME=ARGUMENTS, or NAME=")
    return name.strip(), shlex.split(words)


if __name__ == "__main__":
    own, training = split_command_line(sys.argv[1:])
    with friendly_errors():
        main(tyro.cli(CompareArguments, description=__doc__, args=own), training)

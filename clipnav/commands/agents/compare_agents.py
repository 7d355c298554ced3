r"""Compare ways of training an agent: train each with several seeds and score the runs.

$ clipnav compare-agents --rows imitation= "reinforcement=--reinforcement.weight 1" \
    -- --iterations 2000
$ clipnav compare-agents --rows "reference=--teacher reference" "shortest=--teacher shortest" \
    -- --dataset rxr
$ clipnav compare-agents --rows "longer=" "with a speaker=--back-translation.speaker runs/speaker" \
    --output runs/longer -- --start-from runs/comparison/runs/imitation-{seed}

All rows are scored on the evaluation splits. The folder --output receives comparison.json,
comparison.md and comparison.png: for each metric the mean with its interval over seeds, and the
difference of each row from the first on the same paths. Arguments after -- are those of clipnav
train-agent and apply to all rows. To resume an interrupted comparison, run the same command again:
finished runs are kept.

The first of the splits selects the best weights of a run; the other splits are used for scores
only.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clipnav.comparisons import (
    AgentComparisonArguments,
    check_training_flags,
    run_comparison,
    split_command_line,
)
from clipnav.parsing import parse
from clipnav.storage.errors import UserError


@dataclass(frozen=True)
class CompareAgentsArguments(AgentComparisonArguments):
    """Rows of the comparison and folder of the results."""

    rows: tuple[str, ...] = ("imitation=", "reinforcement=--reinforcement.weight 1")
    """Rows of the table: a name, "=" and arguments of clipnav train-agent. The others are compared
    with the first row. {seed} in an argument is replaced by the seed, so that rows can start from
    the runs of an earlier comparison."""
    output: Path | None = None
    """Folder of runs and results; runs/comparison by default."""


def main(arguments: Sequence[str]) -> None:
    """Parse the command line; train and compare the rows."""
    own, training = split_command_line(arguments)
    config = parse(CompareAgentsArguments, __name__, __doc__, own)
    from clipnav.training.comparisons import ComparisonRow

    common = [*config.choice, *training]
    rows = [ComparisonRow(name, (*common, *words)) for name, words in map(_parse_row, config.rows)]
    run_comparison(config, config.output or Path("runs/comparison"), rows, common)


def _parse_row(text: str) -> tuple[str, list[str]]:
    """Return the name and the arguments of a row."""
    name, equals, arguments = text.partition("=")
    if not name.strip() or not equals:
        raise UserError(f"--rows {text!r}: not a row; write NAME=ARGUMENTS, or NAME=")
    try:
        words = shlex.split(arguments)
    except ValueError as error:
        raise UserError(f"--rows {text!r}: {error}; correct the arguments") from error
    check_training_flags(words, f"in --rows {text!r}")
    return name.strip(), words

"""Declarations of experiments: docs/results/experiments.toml."""

import re
import shlex
import string
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from clipnav.storage.errors import UserError

DECLARATIONS = "experiments.toml"  # in the folder of the records
_REMEDY = "correct the file, or restore it with git checkout"
_FOLDER, _SEED = "folder", "seed"  # placeholders of steps, besides the required experiments
_NAME = re.compile(r"[\w-]+")


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Column of a table.

    Attributes:
        name: Header.
        key: Path of keys to the value in the results of a row; the header by default.
        factor: Factor from the value in the results to the value in the table.
        format: Python format of a number; by default that of the metric of this name, or three
            significant digits.
    """

    name: str
    key: str | None = None
    factor: float | None = None
    format: str | None = None

    def __post_init__(self) -> None:
        if self.format is not None and not (_fits(self.format, 1.0) or _fits(self.format, 1)):
            raise UserError(f"format {self.format!r} is not one of a number, such as ',.1f'")


def _fits(format_spec: str, number: float) -> bool:
    """Return whether a number has this format."""
    try:
        format(number, format_spec)
    except ValueError:
        return False
    return True


class Experiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An experiment that makes one table.

    Attributes:
        page: Page with the table, relative to the folder docs/.
        columns: Columns of the table; a string is a column with all defaults.
        steps: Commands, each "NAME ARGUMENTS" for `clipnav NAME` or "benchmarks/NAME.py ARGUMENTS".
            {folder} is the folder of the outputs, {NAME} that of a required experiment. A step with
            {seed} runs once per seed.
        rows: Rows of the table, as `clipnav.experiments.rows.read_rows` reads them.
        budget: Time and hardware that the steps need, without those of required experiments.
        seeds: Random seeds.
        requires: Experiments whose steps run first.
        base: Prefix of references in `rows` without a file.
    """

    page: str
    columns: tuple[str | Column, ...]
    steps: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    budget: str
    seeds: tuple[int, ...] = (0,)
    base: str = ""
    requires: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        empty = [name for name in ("steps", "rows", "budget", "seeds") if not getattr(self, name)]
        if empty:
            raise UserError(f"{' and '.join(empty)} must not be empty")
        if len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"seeds {list(self.seeds)} contain one twice; name each once")
        for row in self.rows:
            if not 0 < len(row) <= len(self.columns):
                raise UserError(f"row {list(row)} must have 1 to {len(self.columns)} cells")
        for step in self.steps:
            try:
                words = shlex.split(step)
            except ValueError as error:
                raise UserError(f"step {step!r}: {error}") from error
            if not words:
                raise UserError(f"step {step!r} has no command")

    def column_list(self) -> list[Column]:
        """Return all columns as `Column`."""
        return [Column(c) if isinstance(c, str) else c for c in self.columns]


def read_experiments(folder: Path) -> dict[str, Experiment]:
    """Read the experiments by name, in the order of the file.

    Args:
        folder: Folder of the declarations, docs/results of a checkout.

    Raises:
        FileNotFoundError: The folder does not contain declarations.
        UserError: The file is invalid; the message names the experiment and the setting.
    """
    path = folder / DECLARATIONS
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; run this command in a checkout of clipnav, which contains the "
            "documentation and the benchmarks"
        )
    try:
        declared = msgspec.toml.decode(path.read_bytes(), type=dict[str, dict[str, Any]])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}; {_REMEDY}") from error
    experiments: dict[str, Experiment] = {}
    for name, settings in declared.items():
        try:
            experiments[name] = _experiment(name, settings, experiments)
        except ValueError as error:
            raise UserError(f"{path}: {name}: {error}; {_REMEDY}") from error
    return experiments


def _experiment(name: str, settings: dict[str, Any], earlier: Collection[str]) -> Experiment:
    """Return the experiment of a name and its settings.

    Raises:
        ValueError: They are invalid.
    """
    if not _NAME.fullmatch(name) or name in (_FOLDER, _SEED):
        raise UserError(
            f"not the name of an experiment; use letters, digits, _ and -, and neither {_FOLDER} "
            f"nor {_SEED}"
        )
    experiment = msgspec.convert(settings, Experiment)
    unknown = ", ".join(sorted({*experiment.requires} - {*earlier}))
    if unknown:
        raise UserError(f"requires {unknown}, not declared above")
    for step in experiment.steps:
        _check_placeholders(step, (_FOLDER, _SEED, *experiment.requires))
    groups = (row[-1] for row in experiment.rows if len(row) < len(experiment.columns))
    references = (cell for row in experiment.rows for cell in row if "#" in cell)
    for text in (experiment.base, *groups, *references):
        _check_placeholders(text.partition("#")[0], (_SEED, *experiment.requires))
    return experiment


def _check_placeholders(text: str, known: Sequence[str]) -> None:
    """Check that all placeholders of a text have a value.

    Raises:
        UserError: One has none, or a brace has no partner.
    """
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise UserError(f"{text!r}: {error}; a brace itself is written twice") from error
    for name in names:
        if name not in known:
            raise UserError(
                f"{text!r}: {{{name}}} is none of {', '.join(known)}; add an experiment to "
                "requires, or write a brace itself twice"
            )

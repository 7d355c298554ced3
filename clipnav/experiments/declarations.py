"""Declarations of experiments: docs/results/experiments.toml."""

from pathlib import Path

import msgspec

from storage.errors import UserError

DECLARATIONS = "experiments.toml"  # in the folder of the records
_REMEDY = "correct the file, or restore it with git checkout"


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
        experiments = msgspec.toml.decode(path.read_bytes(), type=dict[str, Experiment])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}; {_REMEDY}") from error
    earlier: set[str] = set()
    for name, experiment in experiments.items():
        unknown = ", ".join(sorted({*experiment.requires} - earlier))
        if unknown:
            raise UserError(f"{path}: {name} requires {unknown}, not declared above; {_REMEDY}")
        earlier.add(name)
    return experiments

"""Records: the rows of a table together with their provenance, as docs/results/NAME.json."""

import json
from pathlib import Path
from typing import Literal

import msgspec

from clipnav.experiments.provenance import Machine
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json

_REMEDY = "restore it with git checkout, or run clipnav reproduce with its name"


class Uncertain(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="mean"
):
    """Mean over seeds, and half the width of its 95 % confidence interval."""

    mean: float
    half: float


class Difference(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="difference"
):
    """Difference between two rows, and the ends of its 95 % confidence interval."""

    difference: float
    low: float
    high: float


Cell = str | int | float | Uncertain | Difference | None


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows of a table and their provenance.

    Attributes:
        experiment: Name of the experiment.
        source: "measured": written by `clipnav reproduce`. "copied": copied from an earlier
            version of the page, without the files that the commands wrote.
        commit: Commit of the code; several if the experiment was resumed at another commit.
        date: Date of the last command, or of the commit if copied: YYYY-MM-DD.
        machine: Processor, cores, load and versions.
        seeds: Random seeds.
        commands: Commands that made the figures, with {seed} for the seed.
        columns: Headers of the table.
        rows: Cells in the units of the table.
    """

    experiment: str
    source: Literal["measured", "copied"]
    commit: str
    date: str
    machine: Machine
    seeds: tuple[int, ...]
    commands: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise UserError(f"a row does not have {len(self.columns)} cells")


def record_path(folder: Path, name: str) -> Path:
    """Return the path of the record of an experiment."""
    return folder / f"{name}.json"


def read_record(folder: Path, name: str) -> Record | None:
    """Read the record of an experiment; None if there is none.

    Raises:
        UserError: The file is damaged.
    """
    path = record_path(folder, name)
    if not path.is_file():
        return None
    return read_json(path, _REMEDY, Record)


def write_record(folder: Path, record: Record) -> None:
    """Write the record of an experiment, with one line per row."""
    document = msgspec.to_builtins(record)
    rows = ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in document.pop("rows"))
    head = json.dumps(document, indent=2, ensure_ascii=False).removesuffix("\n}")
    text = f'{head},\n  "rows": [\n{rows}\n  ]\n}}\n'
    write_text(record_path(folder, record.experiment), text)

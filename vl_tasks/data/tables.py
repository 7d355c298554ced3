"""Reader of tables of text: CSV and TSV files whose first line names the columns."""

import csv
from collections.abc import Sequence
from pathlib import Path

from clipnav.storage.errors import UserError, truncate
from clipnav.storage.records import RecordError

_KINDS = {",": ("CSV", "commas", ' (quote "a, b")'), "\t": ("TSV", "tabs", "")}


def read_rows(
    path: Path,
    required: Sequence[str],
    hint: str,
    optional: Sequence[str] = (),
    delimiter: str = ",",
) -> list[dict[str, str]]:
    """Read the rows of a table by the names of the columns; further columns are ignored."""
    kind, delimiters, hint = _KINDS[delimiter]
    rows: list[dict[str, str]] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            reader = csv.DictReader(
                file, delimiter=delimiter, skipinitialspace=delimiter == ",", strict=True
            )
            names = list(reader.fieldnames or ())
            wrong = [name for name in required if names.count(name) != 1]
            wrong += [name for name in optional if names.count(name) > 1]
            if wrong:
                raise UserError(
                    f"{path}: its first line must name {', '.join(wrong)} once, separated by "
                    f"{delimiters}; {hint}"
                )
            for number, row in enumerate(reader):
                if None in row or None in row.values():
                    problem = f"it has more or fewer fields than the first line{hint}"
                    raise RecordError(path, number, problem, hint)
                rows.append(row)
        except (csv.Error, UnicodeDecodeError) as error:
            problem = truncate(str(error), 200)
            raise UserError(f"{path}: not a {kind} file in UTF-8 ({problem}); {hint}") from error
    return rows

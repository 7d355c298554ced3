"""Tables of the pages, rendered from records.

A table stands between the lines "<!-- table: NAME -->" and "<!-- end -->". Until the experiment has
a record, there is a sentence that names the command that measures it.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path

from clipnav.envs.metrics import SUMMARY_METRICS
from clipnav.experiments.declarations import Column, Experiment
from clipnav.experiments.records import Cell, Difference, Record, Uncertain, read_record
from clipnav.experiments.steps import command_lines
from clipnav.storage import write_text
from clipnav.storage.errors import UserError

_BLOCK = re.compile(r"^<!-- table: (\S+) -->$\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)
_DECIMALS = {"m": ".2f", "%": ".1f"}


def pages_of(docs: Path) -> list[Path]:
    """Return the pages that can contain tables: README.md beside the folder, and its pages."""
    readme = docs.parent / "README.md"
    return [*([readme] if readme.is_file() else []), *sorted(docs.glob("*.md"))]


def render_pages(
    docs: Path, experiments: Mapping[str, Experiment], names: Container[str] | None = None
) -> list[Path]:
    """Render tables on all pages; return the pages that have changed.

    Args:
        docs: Folder of the pages, with the records in results/.
        experiments: Experiments by name.
        names: Tables to render; the others stay as they are. All by default.

    Raises:
        UserError: As in `render`.
    """
    changed = []
    for page in pages_of(docs):
        text = page.read_text(encoding="utf-8")
        rendered = render(text, docs / "results", experiments, str(page), names)
        if rendered != text:
            write_text(page, rendered)
            changed.append(page)
    return changed


def without_page(docs: Path, names: Iterable[str]) -> list[str]:
    """Return the names of experiments whose table stands on no page of a folder."""
    shown = {
        match[1]
        for page in pages_of(docs)
        for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))
    }
    return [name for name in names if name not in shown]


def render(
    text: str,
    folder: Path,
    experiments: Mapping[str, Experiment],
    source: str,
    names: Container[str] | None = None,
) -> str:
    """Return the text of a page with its tables rendered.

    Args:
        text: Text of the page.
        folder: Folder of the records.
        experiments: Experiments by name.
        source: Name of the page, for messages.
        names: Tables to render; all by default.

    Raises:
        UserError: A table has no experiment, or a marker has no end.
    """
    if len(_BLOCK.findall(text)) != text.count("<!-- table: "):
        raise UserError(f"{source}: a table has no end; add a line <!-- end --> below it")

    def block(match: re.Match[str]) -> str:
        name = match[1]
        if names is not None and name not in names:
            return match[0]
        if name not in experiments:
            raise UserError(f"{source}: table {name!r} has no experiment; declare it")
        record, experiment = read_record(folder, name), experiments[name]
        if record is not None:
            table = render_table(record, experiment)
            body = f"{table}\n\n{provenance(record, experiment, is_declared(record, experiments))}"
        else:
            command = f"`clipnav reproduce {name}` ({experiment.budget})"
            body = f"*{name}: not measured yet; {command} measures it.*"
        return f"<!-- table: {name} -->\n{body}\n<!-- end -->"

    return _BLOCK.sub(block, text)


def render_table(record: Record, experiment: Experiment) -> str:
    """Return a record as a Markdown table, with left-aligned columns before the first number.

    Raises:
        UserError: The columns of the record are not those of the declaration.
    """
    columns = experiment.column_list()
    if record.columns != tuple(column.name for column in columns):
        raise UserError(
            f"{record.experiment}: the columns of the record and of the declaration differ; run "
            "clipnav reproduce again, or correct the declaration"
        )
    texts = next(
        (i for i, _ in enumerate(columns) if any(_is_number(row[i]) for row in record.rows)),
        len(columns),
    )
    ruler = ["---"] * texts + ["---:"] * (len(columns) - texts)
    lines: list[Sequence[str]] = [
        [f" {column.name} " if column.name else " " for column in columns],
        ruler,
        *(
            [f" {cell} " if cell else " " for cell in map(format_cell, row, columns)]
            for row in record.rows
        ),
    ]
    return "\n".join(f"|{'|'.join(line)}|" for line in lines)


def format_cell(cell: Cell, column: Column) -> str:
    """Return a cell as text."""
    match cell:
        case None:
            return ""
        case str():
            return cell
        case Uncertain(mean, half):
            return f"{_number(mean, column)} ± {_number(half, column)}"
        case Difference(difference, low, high):
            value, *ends = (_number(v, column, "+") for v in (difference, low, high))
            return f"{value} [{', '.join(ends)}]"
        case _:
            return _number(cell, column)


def is_declared(record: Record, experiments: Mapping[str, Experiment]) -> bool:
    """Return whether a record has the commands, seeds and rows that the experiment declares.

    Which values a row refers to is not compared, because records do not contain it.
    """
    name, experiment = record.experiment, experiments[record.experiment]
    same_commands = list(record.commands) == command_lines(name, experiments)
    same_rows = len(record.rows) == len(experiment.rows) and all(
        "#" in text or cell == (text or None)
        for cells, row in zip(record.rows, experiment.rows, strict=True)
        for cell, text in zip(cells, row, strict=False)
    )
    return same_commands and same_rows and record.seeds == experiment.seeds


def provenance(record: Record, experiment: Experiment, declared: bool = True) -> str:
    """Return the sentences below a table: commit, date, seeds, machine and source.

    Args:
        record: Record of the table.
        experiment: Its experiment.
        declared: Whether the record is of this declaration, see `is_declared`.
    """
    seeds = ", ".join(map(str, record.seeds))
    formats = {"processor": "{}", "cores": "{} cores", "load": "load {}"}
    known = [key for key in formats if key in record.machine]
    where = ", ".join(formats[key].format(record.machine[key]) for key in known)
    parts = [f"commit {record.commit}", record.date, f"seed{'s'[: len(record.seeds) > 1]} {seeds}"]
    facts = ", ".join([*parts, *([where] if where else [])])
    command = f"`clipnav reproduce {record.experiment}`"
    if record.source == "measured" and declared:
        source = f"Measured by {command} ({experiment.budget})."
    elif record.source == "measured":
        source = (
            "Measured before the commands, seeds or rows of this table were changed; "
            f"{command} ({experiment.budget}) has not rerun it."
        )
    else:
        source = (
            f"Copied from an earlier version of this page; {command} ({experiment.budget}) has not "
            "rerun it with the current code."
        )
    return f"*{record.experiment}: {facts}. {source}*"


def _is_number(cell: Cell) -> bool:
    return cell is not None and not isinstance(cell, str)


def _number(value: float, column: Column, sign: str = "") -> str:
    name = (column.key or column.name).partition("#")[0]
    if column.format is not None:
        form = column.format
    elif name in SUMMARY_METRICS:
        form = _DECIMALS[SUMMARY_METRICS[name].unit]
    else:
        form = ",.0f" if abs(value) >= 100 else ".3g"
    return format(value, sign + form)

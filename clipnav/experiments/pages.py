"""Tables of the pages, rendered from records.

A table stands between the lines "<!-- table: NAME -->" and "<!-- end -->". Until the experiment has
a record, there is a sentence that names the command that measures it.
"""

import re
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from clipnav.envs.houses.building.house import GENERATOR_VERSION
from clipnav.envs.metrics import metrics
from clipnav.experiments.declarations import Column, Experiment, command_lines
from clipnav.experiments.records import Cell, ExperimentRecord, read_record
from clipnav.storage import write_text
from clipnav.storage.errors import UserError

_BLOCK = re.compile(r"^<!-- table: (\S+) -->$\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)
README = "README.md"


def pages_of(docs: Path) -> list[Path]:
    """Return the pages that can contain tables: README.md beside the folder, and its pages."""
    readme = docs.parent / README
    return [*([readme] if readme.is_file() else []), *sorted(docs.glob("*.md"))]


def render_pages(
    docs: Path, experiments: Mapping[str, Experiment], names: Container[str] | None = None
) -> list[Path]:
    """Render tables on all pages; return the pages that have changed."""
    changed = []
    for page in pages_of(docs):
        text = page.read_text(encoding="utf-8")
        rendered = render(text, docs / "results", experiments, str(page), names)
        if rendered != text:
            write_text(page, rendered)
            changed.append(page)
    return changed


def render(
    text: str,
    folder: Path,
    experiments: Mapping[str, Experiment],
    source: str,
    names: Container[str] | None = None,
) -> str:
    """Return the text of a page with its tables rendered."""
    if len(_BLOCK.findall(text)) != text.count("<!-- table: "):
        raise UserError(f"{source}: a table has no end; add a line <!-- end --> below it")

    def block(match: re.Match[str]) -> str:
        name = match[1]
        if names is not None and name not in names:
            return match[0]
        if name not in experiments:
            raise UserError(f"{source}: table {name!r} has no experiment; declare it")
        record, experiment = read_record(folder, name), experiments[name]
        command = f"`clipnav reproduce {name}` ({experiment.budget})"
        if record is None:
            body = f"*{name}: not measured yet; {command} measures it.*"
        else:
            facts = f"{name}: {provenance(record)}"
            if is_declared(record, experiments):
                origin = f"Measured by {command}"
            else:
                origin = (
                    "Measured before the commands, seeds or rows of this table were changed; "
                    f"{command} has not rerun it"
                )
            body = f"{render_table(record, experiment)}\n\n*{facts}. {origin}.*"
            if experiment.chart:
                folder_name = "docs/results" if Path(source).name == README else "results"
                picture = f"{folder_name}/{name}.svg"
                body = f"{body}\n\n![{experiment.chart.title}]({picture})"
        return f"<!-- table: {name} -->\n{body}\n<!-- end -->"

    return _BLOCK.sub(block, text)


def provenance(record: ExperimentRecord) -> str:
    """Return commit, date, seeds, machine and, if there is a newer one, world of a record."""
    seeds = ", ".join(map(str, record.seeds))
    formats = {"processor": "{}", "cores": "{} cores", "load": "load {}"}
    where = [f.format(record.machine[key]) for key, f in formats.items() if key in record.machine]
    if record.world_version not in (None, GENERATOR_VERSION):
        where.append(f"houses of version {record.world_version}")
    plural = "s" if len(record.seeds) > 1 else ""
    return ", ".join([f"commit {record.commit}", record.date, f"seed{plural} {seeds}", *where])


def is_declared(record: ExperimentRecord, experiments: Mapping[str, Experiment]) -> bool:
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


def render_table(record: ExperimentRecord, experiment: Experiment) -> str:
    """Return a record as a Markdown table, with left-aligned columns before the first number."""
    columns = experiment.column_list()
    if record.columns != tuple(column.name for column in columns):
        raise UserError(
            f"{record.experiment}: the columns of the record and of the declaration differ; run "
            "clipnav reproduce again, or correct the declaration"
        )
    texts = [
        all(isinstance(cell, str | None) for cell in cells)
        for cells in zip(*record.rows, strict=True)
    ]
    numbers = texts.index(False) if False in texts else len(texts)
    lines: list[Sequence[str]] = [
        [column.name for column in columns],
        *([format_cell(*pair) for pair in zip(row, columns, strict=True)] for row in record.rows),
    ]
    table = ["|".join(f" {cell} " if cell else " " for cell in line) for line in lines]
    table.insert(1, "|".join(["---"] * numbers + ["---:"] * (len(columns) - numbers)))
    return "\n".join(f"|{line}|" for line in table)


def format_cell(cell: Cell, column: Column) -> str:
    """Return a cell as text."""

    def number(value: float, sign: str = "") -> str:
        form = ",.0f" if abs(value) >= 100 else ".3g"
        if column.format is not None:
            form = column.format
        elif column.metric in metrics():
            form = f".{metrics()[column.metric].decimals}f"
        return format(value, sign + form)

    match cell:
        case None | str():
            return cell or ""
        case (mean, half):
            return f"{number(mean)} ± {number(half)}"
        case (difference, low, high):
            return f"{number(difference, '+')} [{number(low, '+')}, {number(high, '+')}]"
        case int() | float():
            return number(cell)
    raise ValueError(f"{cell!r}: not a cell")

"""Records: the rows of a table with their provenance, as docs/results/NAME.json."""

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from clipnav.envs.metrics import metrics, seed_interval
from clipnav.experiments.declarations import OUTPUTS, Column, Experiment
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json
from clipnav.storage.processes import usable_cpus
from clipnav.training.log import METRICS, read_log

Machine = dict[str, str | int | float]
Cell = str | int | float | tuple[float, ...] | None
"""Text, a number, the mean over seeds with half the width of its 95 % confidence interval, or a
difference between two rows with the ends of its interval."""


class ExperimentRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows of a table and their provenance.

    Attributes:
        experiment: Name of the experiment.
        commit: Commit of the code; several if the experiment was resumed at another commit.
        date: Date of the last command: YYYY-MM-DD.
        machine: Processor, cores, load and versions.
        seeds: Random seeds.
        world_version: Version of the built-in houses; None if the figures do not depend on them.
        commands: Commands that made the figures, with {seed} for the seed.
        columns: Headers of the table.
        rows: Cells in the units of the table.
    """

    experiment: str
    commit: str
    date: str
    machine: Machine
    seeds: tuple[int, ...]
    world_version: int | None
    commands: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def read_record(folder: Path, name: str) -> ExperimentRecord | None:
    """Read the record of an experiment; None if there is none."""
    path = folder / f"{name}.json"
    if not path.is_file():
        return None
    hint = f"restore it with git checkout, or run clipnav reproduce {name}"
    return read_json(path, hint, ExperimentRecord)


def write_record(folder: Path, record: ExperimentRecord) -> Path:
    """Write the record of an experiment, with one line per row; return its path."""
    document = msgspec.to_builtins(record)
    rows = ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in document.pop("rows"))
    head = json.dumps(document, indent=2, ensure_ascii=False).removesuffix("\n}")
    path = folder / f"{record.experiment}.json"
    write_text(path, f'{head},\n  "rows": [\n{rows}\n  ]\n}}\n')
    return path


def read_rows(name: str, experiment: Experiment) -> tuple[tuple[Cell, ...], ...]:
    """Read the rows of a table from the files that the steps have written.

    A row in the declaration has a string per column: text, or a reference "FILE#KEY#KEY...", a
    path of keys in a JSON file of the experiment's folder; without FILE, it is the path of a figure
    in figures.json, the output of a benchmark. If the row is shorter than the table, its last
    string refers to a group of values, in which the remaining columns look up their keys.
    An interval of a comparison becomes a mean with half its width, or a difference with its ends;
    a list of two numbers becomes text, "26.0 to 37.1".

    In the log of a run, FILE/metrics.jsonl, the keys are kind, iteration and figure.

    If FILE contains {seed}, there is one file per seed; with several seeds the cell is the mean
    with half of Student's 95 % interval.
    """
    columns, rows, documents = experiment.column_list(), [], {}
    for row in experiment.rows:
        if len(row) < len(columns):
            *labels, group = row
            row = (*labels, *(f"{group}#{c.key or c.name}" for c in columns[len(labels) :]))
        cells = zip(row, columns, strict=True)
        rows.append(tuple(_read_cell(name, experiment, documents, *cell) for cell in cells))
    return tuple(rows)


def _read_cell(
    name: str, experiment: Experiment, documents: dict[Path, Any], text: str, column: Column
) -> Cell:
    if "#" not in text:
        return text or None
    file, *keys = (f"figures.json#figures{text}" if text.startswith("#") else text).split("#")
    hint = f"correct the declaration, or remove {OUTPUTS / name} to run the experiment again"
    factor = column.factor
    if factor is None:
        factor = metrics()[column.metric].factor if column.metric in metrics() else 1
    values = []
    for one in dict.fromkeys(file.format(seed=seed) for seed in experiment.seeds):
        path = Path(os.path.normpath(OUTPUTS / name / one))  # of another experiment after "../"
        if path not in documents:
            documents[path] = (
                _logged(path.parent)
                if path.name == METRICS
                else read_json(path, hint, allow_nan=True)
            )
        found = documents[path]
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                raise UserError(f"{path}: there is no {' / '.join(keys)!r}; {hint}")
            found = found[key]
        if isinstance(found, dict):
            found = found.get("over_seeds", found.get("value", found))
        values.append(_scaled(found, factor, keys[-1], f"{path}: {' / '.join(keys)!r}", hint))
    if len(values) == 1:
        return values[0]
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(numbers) < len(values):
        raise UserError(f"{OUTPUTS / name}: {text!r} is not a number for each seed; {hint}")
    interval = seed_interval(numbers)
    return interval.mean, interval.high - interval.mean


def _logged(run: Path) -> dict[str, dict[str, Any]]:
    """Return the events of a run by kind and iteration."""
    events: dict[str, dict[str, Any]] = {}
    for event in read_log(run):
        events.setdefault(event["kind"], {})[str(event["iteration"])] = event
    return events


def _scaled(value: Any, factor: float, key: str, source: str, hint: str) -> Cell:
    match value:
        case None | str():
            return value
        case int() | float():
            return factor * value
        case {"mean": mean, "high": None}:  # a single seed
            return factor * mean
        case {"mean": mean, "low": low, "high": high} if key == "against_first":
            return factor * mean, factor * low, factor * high
        case {"mean": mean, "high": high}:
            return factor * mean, factor * (high - mean)
        case [int() | float() as low, int() | float() as high]:
            return f"{factor * low:.1f} to {factor * high:.1f}"
        case [None, None]:
            return None
    raise UserError(f"{source} is neither a number nor an interval; {hint}")


def commit() -> str:
    """Return the commit of the checkout, with "+" if tracked files have changed since.

    Pages and records are not counted as changes, because they do not affect figures.
    """
    changes = "status --porcelain --untracked-files=no -- . :!docs :!*.md"
    try:
        name, changed = (
            subprocess.run(["git", *words.split()], capture_output=True, text=True, check=True)
            for words in ("rev-parse --short HEAD", changes)
        )
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise UserError(
            f"{Path.cwd()}: git cannot name the commit of this folder; run clipnav reproduce in a "
            "git checkout of clipnav, with git installed"
        ) from error
    return name.stdout.strip() + ("+" if changed.stdout else "")


def machine() -> Machine:
    """Return the processor, the number of usable cores, the load average, and versions.

    The load is the mean number of running processes in the last minute, this one included; Windows
    does not measure it.
    """
    processor = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line[:10] == "model name"]
        processor = names[0] if names else processor
    load = {"load": round(os.getloadavg()[0], 1)} if hasattr(os, "getloadavg") else {}
    return {
        "processor": processor,
        "cores": usable_cpus(),
        **load,
        "python": platform.python_version(),
        **{package: version(package) for package in ("numpy", "torch", "gymnasium")},
    }

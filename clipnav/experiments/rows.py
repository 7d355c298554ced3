"""Rows of a table, read from the files that the commands of an experiment have written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clipnav.envs.metrics import SUMMARY_METRICS, seed_interval
from clipnav.experiments.declarations import Column, Experiment
from clipnav.experiments.records import Cell, Difference, Uncertain
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json

_REMEDY = "correct the declaration, or remove the folder of the experiment to run it again"


def read_rows(experiment: Experiment, folder: Path) -> tuple[tuple[Cell, ...], ...]:
    """Read the rows of a table.

    A row in the declaration has a string per column: text, or a reference "FILE#KEY#KEY...", a
    path of keys in a JSON file. A reference without FILE is appended to the base of the experiment.
    If the row is shorter than the table, its last string refers to a group of values, in which the
    remaining columns look up their keys. A number is the value itself, or the entry "value" of a
    benchmark's figure. An interval of a comparison becomes "mean ± half", or a difference with its
    ends.

    If FILE contains {seed}, there is one file per seed; with several seeds the cell is the mean
    with half of Student's 95 % interval. {NAME} is the folder of an experiment
    that this one requires, as in its steps.

    Args:
        experiment: The experiment.
        folder: Folder of its outputs, to which the files are relative.

    Raises:
        FileNotFoundError: A file does not exist.
        UserError: A file is damaged or lacks a key.
    """
    reader = _Reader(experiment, folder)
    columns = experiment.column_list()
    return tuple(_row(reader, row, columns) for row in experiment.rows)


def _row(reader: "_Reader", row: Sequence[str], columns: Sequence[Column]) -> tuple[Cell, ...]:
    if len(row) == len(columns):
        return tuple(map(reader.cell, row, columns))
    *labels, group = row
    rest = [reader.cell(f"{group}#{c.key or c.name}", c) for c in columns[len(labels) :]]
    return *labels, *rest


class _Reader:
    """Reads the cells of one table; each file is read once."""

    def __init__(self, experiment: Experiment, folder: Path) -> None:
        self._experiment, self._folder = experiment, folder
        self._documents: dict[Path, Any] = {}

    def cell(self, text: str, column: Column) -> Cell:
        """Return the cell of a text or reference."""
        if "#" not in text:
            return text or None
        reference = self._experiment.base + text if text.startswith("#") else text
        file, *keys = reference.split("#")
        factor = _factor(column)
        values = [self._value(self._folder / name, keys, factor) for name in self._files(file)]
        if len(values) == 1:
            return values[0]
        numbers = [value for value in values if isinstance(value, int | float)]
        if len(numbers) < len(values):
            raise UserError(
                f"{self._folder}: {text!r} is not a number for each seed, so that there is no mean "
                f"over seeds; {_REMEDY}"
            )
        interval = seed_interval(numbers)
        return Uncertain(interval.mean, interval.high - interval.mean)

    def _files(self, file: str) -> list[str]:
        required = {name: f"../{name}" for name in self._experiment.requires}
        seeds = self._experiment.seeds if "{seed}" in file else self._experiment.seeds[:1]
        return [file.format(seed=seed, **required) for seed in seeds]

    def _value(self, path: Path, keys: Sequence[str], factor: float) -> Cell:
        if path not in self._documents:
            self._documents[path] = read_json(path, _REMEDY, allow_nan=True)
        value = self._documents[path]
        name = " / ".join(keys)
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                raise UserError(f"{path}: there is no {name!r}; {_REMEDY}")
            value = value[key]
        if isinstance(value, dict):
            value = value.get("over_seeds", value.get("value", value))
        return _to_cell(value, factor, keys[-1] == "against_first", f"{path}: {name!r}")


def _to_cell(value: Any, factor: float, is_difference: bool, source: str) -> Cell:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return factor * value
    if not isinstance(value, dict) or value.keys() != {"mean", "low", "high"}:
        raise UserError(f"{source} is neither a number nor an interval; {_REMEDY}")
    mean, low, high = (value[name] for name in ("mean", "low", "high"))
    if high is None:  # a single seed
        return factor * mean
    if is_difference:
        return Difference(factor * mean, factor * low, factor * high)
    return Uncertain(factor * mean, factor * (high - mean))


def _factor(column: Column) -> float:
    if column.factor is not None:
        return column.factor
    name = (column.key or column.name).partition("#")[0]
    return SUMMARY_METRICS[name].factor if name in SUMMARY_METRICS else 1

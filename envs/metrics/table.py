"""The table of metrics: one row each, to which installed packages add their own.

A package adds a row by an entry point of the group `clipnav.metrics`, whose name is that of the
row; `register_metric` takes one directly. Every table, comparison, card, trace and page selects its
metrics here, so a row is all that a metric takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from clipnav.storage.spec_table import Spec, SpecTable

_SHORTEST = 0.01  # metres; EnvDrop's lower bound of the path length in SPL

Number = Any  # a float, or an array (B,)
# Where a metric is shown: tables of agents, comparisons of trainings, the page of a walk, its short
# form.
Place = Literal["table", "comparison", "page", "walk"]


@dataclass(frozen=True)
class Metric(Spec):
    """A row of the table of metrics.

    Attributes:
        name: Short name as in the tables of papers.
        column: Name of the values of the episodes in the results of `score_path` and
            `score_paths`.
        factor: Factor by which tables multiply the value.
        unit: Unit of the multiplied value.
        label: Description in a line.
        better: Whether higher or lower values are better; "" if neither is.
        binary: Whether the value of an episode is 0 or 1.
        reduce: Whether a summary is the mean or the median of the episodes. Tables of intervals and
            differences have means only.
        derived: Function of columns that returns `column`, "module:function"; "" if `score_paths`
            computes it. It is applied after a dataset has replaced columns by its own definitions,
            and takes arrays (B,) by name.
        needs: Columns that it reads. Walks without one of them lack the metric.
        places: Where the metric is shown.
    """

    column: str
    factor: int = 100
    unit: str = "%"
    label: str = ""
    better: Literal["higher", "lower", ""] = "higher"
    binary: bool = False
    reduce: Literal["mean", "median"] = "mean"
    derived: str = ""
    needs: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()

    @property
    def decimals(self) -> int:
        """Number of decimals in tables."""
        return 2 if self.unit == "m" else 1

    def text(self, value: float) -> str:
        """Return a value as tables print it."""
        return f"{self.factor * value:.{self.decimals}f}"

    def reduced(self, values: np.ndarray) -> float:
        """Return the value of a summary."""
        return float(np.median(values) if self.reduce == "median" else np.mean(values))


_TABLE = SpecTable(
    "metric",
    "clipnav.metrics",
    (
        Metric(
            *("TL", "trajectory_length", 1, "m", "trajectory length"),
            better="",
            places=("table", "page"),
        ),
        Metric(
            *("NE", "nav_error", 1, "m", "navigation error: geodesic distance to the goal"),
            better="lower",
            places=("table", "page", "walk"),
        ),
        Metric(
            "OSR",
            "oracle_success",
            label="oracle success: the trajectory comes within 3 m of the goal",
            binary=True,
            places=(
                "table",
                "page",
            ),
        ),
        Metric(
            "SR",
            "success",
            label="success: the trajectory ends less than 3 m from the goal",
            binary=True,
            places=("table", "page", "comparison", "walk"),
        ),
        Metric(
            "SPL",
            "spl",
            label="success weighted by path length",
            places=("table", "page", "comparison", "walk"),
        ),
        Metric(
            "SPL_ref",
            "spl_reference",
            label="success weighted by path length, relative to the reference path",
            derived="clipnav.envs.metrics.table:reference_efficiency",
            needs=("success", "reference_length", "trajectory_length"),
        ),
        Metric(
            "nDTW",
            "ndtw",
            label="normalized dynamic time warping: similarity to the reference path",
            places=("table", "page", "comparison", "walk"),
        ),
        Metric(
            "sDTW",
            "sdtw",
            label="success weighted by normalized dynamic time warping",
            derived="clipnav.envs.metrics.table:successful_warping",
            needs=("success", "ndtw"),
            places=("table", "page", "comparison"),
        ),
        Metric(
            "CLS",
            "cls",
            label="coverage weighted by length score: coverage of the reference path",
            places=("page",),
        ),
    ),
)


def metrics(place: Place | None = None) -> dict[str, Metric]:
    """Return the metrics of a place, or all of them, by short name."""
    return by_name(*(row for row in _TABLE.rows() if place is None or place in row.places))


def mean_metrics(place: Place | None = None) -> dict[str, Metric]:
    """Return the metrics whose summary is a mean, which intervals and differences require."""
    return {name: row for name, row in metrics(place).items() if row.reduce == "mean"}


def by_name(*rows: Metric) -> dict[str, Metric]:
    """Return metrics by short name."""
    return {row.name: row for row in rows}


def register_metric(metric: Metric) -> None:
    """Add a row to the table in this process; one of the same name that was added is replaced.

    Raises:
        UserError: A metric of clipnav has the name.
    """
    _TABLE.add(metric)


def derive(columns: Mapping[str, Number]) -> dict[str, Number]:
    """Return columns with those that follow from them, of the walks of one dataset."""
    whole = dict(columns)
    for metric in _TABLE.rows():
        if metric.derived and whole.keys() >= set(metric.needs):
            with metric.running("derived"):
                whole[metric.column] = metric.part("derived")(whole)
    return whole


def renamed(rows: Mapping[str, Metric], columns: Mapping[str, str]) -> dict[str, Metric]:
    """Return metrics for walks whose columns have other names."""
    return {
        name: replace(row, column=columns.get(row.column, row.column)) for name, row in rows.items()
    }


def path_efficiency(ideal: Number, length: Number) -> Number:
    """Return what SPL weights a success with, given the best length and that of the walk."""
    return ideal / np.maximum(np.maximum(ideal, length), _SHORTEST)


def reference_efficiency(columns: Mapping[str, Number]) -> Number:
    """Return SPL relative to the reference path."""
    efficiency = path_efficiency(columns["reference_length"], columns["trajectory_length"])
    return columns["success"] * efficiency


def successful_warping(columns: Mapping[str, Number]) -> Number:
    """Return sDTW."""
    return columns["success"] * columns["ndtw"]

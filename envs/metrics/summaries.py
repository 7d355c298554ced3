"""Means of metrics over episodes, over all of them or by group."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from clipnav.storage.errors import UserError

# One mapping per path (`score_path`), or one column per metric (`score_paths`).
Scores = Sequence[Mapping[str, float]] | Mapping[str, np.ndarray]


class Metric(NamedTuple):
    """Column of a metric, and how tables print it.

    Attributes:
        column: Name of the metric in the results of `score_path` and `score_paths`.
        factor: Factor by which tables multiply the value.
        unit: Unit of the multiplied value.
    """

    column: str
    factor: int
    unit: str


# Short names as in the tables of papers.
SUMMARY_METRICS = {
    "TL": Metric("trajectory_length", 1, "m"),
    "NE": Metric("nav_error", 1, "m"),
    "OSR": Metric("oracle_success", 100, "%"),
    "SR": Metric("success", 100, "%"),
    "SPL": Metric("spl", 100, "%"),
    "SPL_ref": Metric("spl_reference", 100, "%"),
    "nDTW": Metric("ndtw", 100, "%"),
    "sDTW": Metric("sdtw", 100, "%"),
    "CLS": Metric("cls", 100, "%"),
}


def summarise(scores: Scores) -> dict[str, float]:
    """Return the mean of each metric under its short name, and the number of `episodes`.

    Raises:
        UserError: There are no episodes.
    """
    columns = _columns(scores)
    episodes = len(columns["success"])
    if not episodes:
        raise UserError("no episode to summarise")
    return {short: float(column.mean()) for short, column in columns_named(columns).items()} | {
        "episodes": episodes
    }


def summarise_groups(scores: Scores, groups: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the summary of each group, such as a language, in alphabetical order."""
    columns = _columns(scores)
    paths = len(columns["success"])
    if len(groups) != paths:
        raise UserError(f"{len(groups)} groups for {paths} paths")
    labels = np.asarray(groups)
    return {
        str(group): summarise({name: column[labels == group] for name, column in columns.items()})
        for group in np.unique(labels)
    }


def columns_named(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the columns of the summary's metrics under their short names."""
    return {short: columns[metric.column] for short, metric in SUMMARY_METRICS.items()}


def _columns(scores: Scores) -> Mapping[str, np.ndarray]:
    if isinstance(scores, Mapping):
        return scores
    names = [metric.column for metric in SUMMARY_METRICS.values()]
    return {name: np.array([score[name] for score in scores]) for name in names}

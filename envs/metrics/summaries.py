"""Means of metrics over episodes, over all of them or by group."""

from collections.abc import Mapping, Sequence

import numpy as np

from clipnav.envs.metrics.table import Metric, mean_metrics, metrics
from clipnav.storage.errors import UserError

# One mapping per path (`score_path`), or one column per metric (`score_paths`).
Scores = Sequence[Mapping[str, float]] | Mapping[str, np.ndarray]


def summarise(scores: Scores, rows: Mapping[str, Metric] | None = None) -> dict[str, float]:
    """Return each metric of the episodes under its short name, and the number of `episodes`.

    Args:
        scores: Metrics of the episodes.
        rows: Metrics by short name; by default those of the table.

    Raises:
        UserError: There are no episodes.
    """
    columns = _columns(scores)
    episodes = len(columns["success"]) if columns else 0
    if not episodes:
        raise UserError("no episode to summarise")
    rows = metrics() if rows is None else rows
    return {
        **{n: row.reduced(columns[row.column]) for n, row in rows.items() if row.column in columns},
        "episodes": episodes,
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
    """Return the columns of `mean_metrics` under their short names."""
    rows = mean_metrics().items()
    return {short: columns[row.column] for short, row in rows if row.column in columns}


def _columns(scores: Scores) -> Mapping[str, np.ndarray]:
    if isinstance(scores, Mapping):
        return scores
    names = scores[0] if scores else ()
    return {name: np.array([score[name] for score in scores]) for name in names}

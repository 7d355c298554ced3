"""Means of the metrics over episodes, over all of them or by group."""

from collections.abc import Mapping, Sequence

import numpy as np

# Short names, as in the tables of the papers.
SUMMARY = {
    "TL": "trajectory_length",
    "NE": "nav_error",
    "OSR": "oracle_success",
    "SR": "success",
    "SPL": "spl",
    "SPL_ref": "spl_reference",
    "nDTW": "ndtw",
    "sDTW": "sdtw",
    "CLS": "cls",
}

# One mapping per path, as of `score_path`, or one column per metric, as of `score_paths`.
Scores = Sequence[Mapping[str, float]] | Mapping[str, np.ndarray]


def summarise(scores: Scores) -> dict[str, float]:
    """Mean of each metric over episodes, under the short names of `SUMMARY`; `episodes` counts.

    Raises:
        ValueError: There is nothing to average.
    """
    columns = _columns(scores)
    episodes = len(columns["success"])
    if not episodes:
        raise ValueError("no episode to summarise")
    return {short: float(column.mean()) for short, column in columns_named(columns).items()} | {
        "episodes": episodes
    }


def summarise_groups(scores: Scores, groups: Sequence[str]) -> dict[str, dict[str, float]]:
    """Summary per group, such as the language of each episode, in alphabetical order.

    Args:
        scores: Results of `score_path`, or of `score_paths`.
        groups: Group of each path.

    Raises:
        ValueError: There are not as many groups as paths.
    """
    columns = _columns(scores)
    paths = len(columns["success"])
    if len(groups) != paths:
        raise ValueError(f"{len(groups)} groups for {paths} paths")
    labels = np.asarray(groups)
    return {
        str(group): summarise({name: column[labels == group] for name, column in columns.items()})
        for group in np.unique(labels)
    }


def columns_named(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns of the summary's metrics under its short names."""
    return {short: columns[name] for short, name in SUMMARY.items()}


def _columns(scores: Scores) -> Mapping[str, np.ndarray]:
    if isinstance(scores, Mapping):
        return scores
    return {name: np.array([score[name] for score in scores]) for name in SUMMARY.values()}

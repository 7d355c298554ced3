"""Retrieval scores of CLEAR's representations."""

from collections.abc import Mapping

import numpy as np

from clipnav.agents.clear.pair_files import normalised
from clipnav.envs.metrics import aligned
from clipnav.training.learners import Summary

_ROWS_AT_ONCE = 1_024


def ranks(queries: np.ndarray, candidates: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the rank (Q,) of the target of each query by cosine similarity, from 1.

    A candidate that is exactly as similar as the target counts half, so that constant embeddings
    have the rank of chance.

    Args:
        queries: (Q, W) embeddings.
        candidates: (N, W) embeddings.
        targets: (Q,) index of the candidate that belongs to each query.
    """
    queries, candidates = normalised(queries), normalised(candidates)
    positions = np.empty(len(queries))
    for start in range(0, len(queries), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        scores = queries[rows] @ candidates.T  # (R, N)
        own = np.take_along_axis(scores, targets[rows, None], 1)
        ties = (scores == own).sum(1) - 1
        positions[rows] = 1 + (scores > own).sum(1) + ties / 2
    return positions


def summary(positions: np.ndarray, candidates: int) -> Summary:
    """Return the figures of some queries.

    Args:
        positions: (Q,) ranks from 1.
    """
    return {
        "MRR": float(np.mean(1 / positions)),
        "R@1": float(np.mean(positions <= 1)),
        "R@5": float(np.mean(positions <= 5)),
        "chance": 1 / candidates,
        "candidates": float(candidates),
        "queries": float(len(positions)),
    }


def mean_summary(parts: list[Summary]) -> Summary:
    """Return the mean of summaries, weighted by their queries; counts are means as well."""
    weights = [part["queries"] for part in parts]
    return {name: float(np.average([p[name] for p in parts], weights=weights)) for name in parts[0]}


def results_table(results: Mapping[str, Mapping[str, Summary]]) -> str:
    """Return an aligned table of figures by split and weights; MRR and recall are in per cent."""
    rows = [["split", "weights", "MRR", "R@1", "R@5", "chance", "N"]]
    for split, parts in results.items():
        for weights, figures in parts.items():
            shown = [f"{100 * figures[name]:.1f}" for name in ("MRR", "R@1", "R@5", "chance")]
            rows.append([split, weights, *shown, f"{figures['candidates']:.0f}"])
    return aligned(rows)

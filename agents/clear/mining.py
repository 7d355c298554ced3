"""Pairs of paths in different buildings whose instructions are similar."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from clipnav.agents.clear.retrieval import normalised

_ROWS_AT_ONCE = 512

PathKey = tuple[str, tuple[str, ...]]  # scan and viewpoints


class MinedPair(NamedTuple):
    """The counterpart of a path.

    Attributes:
        scan: Scan of the counterpart.
        path: Its viewpoints, as many as those of the path.
        similarity: Cosine similarity of the embeddings of both paths.
    """

    scan: str
    path: tuple[str, ...]
    similarity: float


def mine_pairs(paths: Sequence[PathKey], embeddings: np.ndarray) -> dict[PathKey, MinedPair]:
    """Find the most similar path of the same length in another scan for each path.

    Args:
        embeddings: (P, W) embeddings of their instructions.
    """
    embeddings = normalised(embeddings)
    scans = np.unique([scan for scan, _ in paths], return_inverse=True)[1]
    sizes = np.array([len(path) for _, path in paths])
    pairs: dict[PathKey, MinedPair] = {}
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            queries = rows[start : start + _ROWS_AT_ONCE]
            scores = embeddings[queries] @ embeddings[rows].T  # (Q, R)
            scores[scans[queries][:, None] == scans[rows]] = -np.inf
            best = scores.argmax(1)
            similarities = scores[np.arange(len(queries)), best]
            for query, row, value in zip(queries, rows[best], similarities.tolist(), strict=True):
                if np.isfinite(value):
                    scan, path = paths[row]
                    pairs[paths[query]] = MinedPair(scan, path, value)
    return pairs


def path_embeddings(groups: Sequence[Sequence[int]], embeddings: np.ndarray) -> np.ndarray:
    """Return the embedding (P, W) of each path: the mean of those of its instructions.

    Args:
        embeddings: (E, W) embeddings of instructions; their lengths have no effect.
    """
    embeddings = normalised(embeddings)
    return np.stack([embeddings[list(group)].mean(0) for group in groups])

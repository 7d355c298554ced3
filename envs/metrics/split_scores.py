"""Metrics of many paths at once, without a Python loop over pairs of viewpoints."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics.path_scores import (
    SUCCESS_THRESHOLD,
    check_graph,
    check_threshold,
    path_metrics,
)
from clipnav.storage.errors import UnknownNameError, UserError

# Paths per batch: the tables fit in the processor's cache. Paths are sorted by size beforehand, so
# that little is padded.
_BATCH = 2048


def score_paths(
    graphs: NavGraph | Sequence[NavGraph],
    predictions: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    threshold: float = SUCCESS_THRESHOLD,
) -> dict[str, np.ndarray]:
    """Score B walked paths; equivalent to calling `score_path` for each.

    Args:
        graphs: Graph of each path, or one graph for all paths.
        predictions: Walked viewpoints of each path.
        references: Viewpoints of each reference path.
        threshold: Success radius in metres.

    Returns:
        The metrics of `score_path`, each a float64 array (B,) in the order of the paths.

    Raises:
        UserError: There are no paths, a path is empty, a reference is not connected, the
            threshold is not positive, or arguments have different lengths.
        UnknownNameError: A graph has no such viewpoint; the message contains the index of the path.
        TypeError: A graph is not a `NavGraph`.
    """
    check_threshold(threshold)
    is_single = isinstance(graphs, NavGraph | str)  # a string is a mistake
    buildings = [graphs] * len(predictions) if is_single else list(graphs)
    for graph in set(buildings):
        check_graph(graph)
    if not buildings or not len(buildings) == len(predictions) == len(references):
        raise UserError(
            f"{len(predictions)} predictions, {len(references)} references and {len(buildings)} "
            "graphs: the numbers must be equal and at least 1"
        )
    tables = _Tables(buildings)
    walked = tables.locate(buildings, predictions, "prediction")
    described = tables.locate(buildings, references, "reference")
    order = np.lexsort((described.sizes, walked.sizes))
    batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
    parts = [_score_batch(tables.flat, walked, described, b, threshold) for b in batches]
    back = np.argsort(order)
    return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}


@dataclass(frozen=True, eq=False)
class _PathEntries:
    """Viewpoints of B paths, one path after another, as offsets into the flat distance tables.

    Attributes:
        rows: Offset of each viewpoint's row of distances.
        columns: Column of each viewpoint within such a row.
        starts: (B,) index of the first viewpoint of each path.
        sizes: (B,) number of viewpoints of each path.
    """

    rows: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray

    def padded(self, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and columns (L, b) of paths (b,); shorter paths repeat their last entry."""
        sizes = self.sizes[paths]
        entries = np.minimum(np.arange(sizes.max())[:, None], sizes - 1) + self.starts[paths]
        return self.rows[entries], self.columns[entries]


class _Tables:
    """Distance tables of several graphs, concatenated into one flat array."""

    def __init__(self, graphs: Sequence[NavGraph]) -> None:
        unique = {id(graph): graph for graph in graphs}
        self.flat = np.concatenate([graph.distances.ravel() for graph in unique.values()])
        squares = np.cumsum([0, *(len(graph) ** 2 for graph in unique.values())]).tolist()
        self._offsets = dict(zip(unique, squares, strict=False))
        self._rows = {
            key: {viewpoint: row for row, viewpoint in enumerate(graph.viewpoint_ids)}
            for key, graph in unique.items()
        }

    def locate(
        self, graphs: Sequence[NavGraph], paths: Sequence[Sequence[str]], kind: str
    ) -> _PathEntries:
        """Look up the viewpoints of paths; `kind` names them in error messages."""
        columns_of_all: list[int] = []
        for number, (graph, path) in enumerate(zip(graphs, paths, strict=True)):
            if not path:
                raise UserError(f"{kind} {number} is empty: it needs at least one viewpoint")
            rows = self._rows[id(graph)]
            try:
                columns_of_all.extend(map(rows.__getitem__, path))
            except KeyError as error:
                raise UnknownNameError(
                    f"{kind} {number}: scan '{graph.scan}' has no navigable viewpoint "
                    f"'{error.args[0]}'"
                ) from None
        columns = np.array(columns_of_all, dtype=np.intp)
        sizes = np.array([len(path) for path in paths], dtype=np.intp)
        widths = np.array([len(graph) for graph in graphs], dtype=np.intp)
        offsets = np.array([self._offsets[id(graph)] for graph in graphs], dtype=np.intp)
        rows = np.repeat(offsets, sizes) + columns * np.repeat(widths, sizes)
        return _PathEntries(rows, columns, np.cumsum(sizes) - sizes, sizes)


def _score_batch(
    flat: np.ndarray,
    walked: _PathEntries,
    described: _PathEntries,
    paths: np.ndarray,
    threshold: float,
) -> dict[str, np.ndarray]:
    """Score the paths (b,) of one batch, padded to a common size."""
    walked_rows, walked_columns = walked.padded(paths)  # (P, b)
    rows, columns = described.padded(paths)  # (R, b)
    sizes, reference_sizes = walked.sizes[paths], described.sizes[paths]
    reference_lengths = flat[rows[:-1] + columns[1:]].sum(axis=0)
    apart = paths[np.isinf(reference_lengths)]
    if apart.size:
        raise UserError(f"reference {apart[0]}: no path connects its viewpoints")
    dtw, nearest = _warp(flat, walked_rows, columns, sizes, reference_sizes)
    return path_metrics(
        trajectory_length=flat[walked_rows[:-1] + walked_columns[1:]].sum(axis=0),
        nav_error=flat[walked_rows[-1] + columns[-1]],
        oracle_error=nearest[-1],
        dtw=dtw,
        coverage_distances=nearest.T,
        shortest_path_length=flat[rows[0] + columns[-1]],
        reference_length=reference_lengths,
        reference_size=reference_sizes,
        threshold=threshold,
    )


def _warp(
    flat: np.ndarray,
    walked_rows: np.ndarray,
    columns: np.ndarray,
    sizes: np.ndarray,
    reference_sizes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute dynamic time warping of b pairs of paths along the anti-diagonals of their tables.

    The cells of an anti-diagonal are independent, so each diagonal is one array operation over
    all pairs. The sums equal those of the row-wise recurrence to the bit.

    Args:
        walked_rows: (P, b) rows of the walked viewpoints.
        columns: (R, b) columns of the reference viewpoints.
        sizes: (b,) number of walked viewpoints, at most P.
        reference_sizes: (b,) number of reference viewpoints, at most R.

    Returns:
        (b,) warping distances, and (R, b) metres from each reference viewpoint to the nearest
        walked one.
    """
    (num_walked, pairs), num_described = walked_rows.shape, len(columns)
    nearest = np.full((num_described, pairs), np.inf)
    # Three diagonals, indexed by reference viewpoint + 1; cells not yet filled are infinite.
    before, last, new = (np.full((num_described + 1, pairs), np.inf) for _ in range(3))
    before[0] = 0.0  # corner from which the first cell is reached
    result = np.empty(pairs)
    ends = sizes + reference_sizes - 2
    for diagonal in range(num_walked + num_described - 1):
        low, high = max(0, diagonal - num_walked + 1), min(diagonal, num_described - 1) + 1
        walked_here = walked_rows[diagonal - high + 1 : diagonal - low + 1][::-1]
        distances = flat[walked_here + columns[low:high]]
        np.minimum(nearest[low:high], distances, out=nearest[low:high])
        cells = new[low + 1 : high + 1]
        np.minimum(last[low + 1 : high + 1], last[low:high], out=cells)
        np.minimum(cells, before[low:high], out=cells)
        cells += distances
        done = np.flatnonzero(ends == diagonal)
        result[done] = new[reference_sizes[done], done]
        before[0] = np.inf
        before, last, new = last, new, before
    return result, nearest

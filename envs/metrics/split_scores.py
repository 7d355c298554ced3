"""The metrics of many paths at once, with no Python loop over pairs of viewpoints."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envs.graphs.nav_graph import NavGraph
from envs.metrics.path_scores import SUCCESS_THRESHOLD, check_threshold, path_metrics

# Paths whose tables are filled together: keeps them in the cache, and little padding, as paths are
# sorted by size before.
_BATCH = 2048


def score_paths(
    graphs: NavGraph | Sequence[NavGraph],
    predictions: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    threshold: float = SUCCESS_THRESHOLD,
) -> dict[str, np.ndarray]:
    """Score B walked paths, each as `score_path` does.

    Args:
        graphs: The building of each path, or the one of all.
        predictions: Walked viewpoints of each path.
        references: Described viewpoints of each path.
        threshold: Success radius in metres.

    Returns:
        The metrics of `score_path`, each a float64 column (B,) in the order of the paths.

    Raises:
        ValueError: No path, an empty path, a reference that no way joins, a threshold that is not
            positive, or arguments of different lengths.
        KeyError: A building has no such viewpoint; the message tells the number of the path,
            counted from 0.
    """
    check_threshold(threshold)
    buildings = [graphs] * len(predictions) if isinstance(graphs, NavGraph) else list(graphs)
    if not buildings or not len(buildings) == len(predictions) == len(references):
        raise ValueError(
            f"{len(predictions)} predictions, {len(references)} references and {len(buildings)} "
            "graphs: there must be as many of each, and at least one"
        )
    tables = _Tables(buildings)
    walked = tables.place(buildings, predictions, "prediction")
    described = tables.place(buildings, references, "reference")
    order = np.lexsort((described.sizes, walked.sizes))
    batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
    parts = [_score_batch(tables.flat, walked, described, b, threshold) for b in batches]
    back = np.argsort(order)
    return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}


@dataclass(frozen=True, eq=False)
class _Places:
    """Viewpoints of B paths, one path after another, as places in the flat distance table.

    Attributes:
        rows: Where the table of the viewpoint's distances starts.
        columns: Where it is itself in such a row.
        starts: (B,) first viewpoint of each path.
        sizes: (B,) viewpoints of each path.
    """

    rows: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray

    def padded(self, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns (L, b) of some paths (b,); a shorter path stays where it ended."""
        sizes = self.sizes[paths]
        entries = np.minimum(np.arange(sizes.max())[:, None], sizes - 1) + self.starts[paths]
        return self.rows[entries], self.columns[entries]


class _Tables:
    """The distance tables of several graphs, one after another in one flat array."""

    def __init__(self, graphs: Sequence[NavGraph]) -> None:
        unique = {id(graph): graph for graph in graphs}
        self.flat = np.concatenate([graph.distances.ravel() for graph in unique.values()])
        squares = np.cumsum([0, *(len(graph) ** 2 for graph in unique.values())]).tolist()
        self._offsets = dict(zip(unique, squares, strict=False))
        self._rows = {
            key: {viewpoint: row for row, viewpoint in enumerate(graph.viewpoint_ids)}
            for key, graph in unique.items()
        }

    def place(
        self, graphs: Sequence[NavGraph], paths: Sequence[Sequence[str]], what: str
    ) -> _Places:
        """Find the viewpoints of paths; `what` they are is for the errors."""
        found: list[int] = []
        for number, (graph, path) in enumerate(zip(graphs, paths, strict=True)):
            if not path:
                raise ValueError(f"{what} {number} is empty: it needs at least one viewpoint")
            rows = self._rows[id(graph)]
            try:
                found.extend(map(rows.__getitem__, path))
            except KeyError as error:
                raise KeyError(
                    f"{what} {number}: scan '{graph.scan}' has no viewpoint '{error.args[0]}' "
                    "that one can stand on"
                ) from None
        columns = np.array(found, dtype=np.intp)
        sizes = np.array([len(path) for path in paths], dtype=np.intp)
        widths = np.array([len(graph) for graph in graphs], dtype=np.intp)
        offsets = np.array([self._offsets[id(graph)] for graph in graphs], dtype=np.intp)
        rows = np.repeat(offsets, sizes) + columns * np.repeat(widths, sizes)
        return _Places(rows, columns, np.cumsum(sizes) - sizes, sizes)


def _score_batch(
    flat: np.ndarray, walked: _Places, described: _Places, paths: np.ndarray, threshold: float
) -> dict[str, np.ndarray]:
    """Metrics of the paths (b,), of which a batch is small enough to be padded."""
    walked_rows, walked_columns = walked.padded(paths)  # (P, b)
    rows, columns = described.padded(paths)  # (R, b)
    sizes, reference_sizes = walked.sizes[paths], described.sizes[paths]
    reference_lengths = flat[rows[:-1] + columns[1:]].sum(axis=0)
    apart = paths[np.isinf(reference_lengths)]
    if apart.size:
        raise ValueError(f"reference {apart[0]}: no way joins its viewpoints")
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
    """Dynamic time warping of b pairs of paths, along the anti-diagonals of their tables.

    The cells of an anti-diagonal do not depend on each other, so each is one array operation over
    all pairs. The sums are those of the row-wise recurrence, bit for bit.

    Args:
        flat: The distances.
        walked_rows: (P, b) rows of the walked viewpoints.
        columns: (R, b) columns of the described viewpoints.
        sizes: (b,) how many of P are real.
        reference_sizes: (b,) how many of R are real.

    Returns:
        (b,) warping distances, and (R, b) metres from each described viewpoint to the nearest one
        walked.
    """
    (num_walked, pairs), num_described = walked_rows.shape, len(columns)
    nearest = np.full((num_described, pairs), np.inf)
    # Three diagonals, by described viewpoint + 1; what no cell has filled is infinite.
    before, last, new = (np.full((num_described + 1, pairs), np.inf) for _ in range(3))
    before[0] = 0.0  # the corner that the first cell comes from
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

"""Metrics of one walked path, or of all paths of a split at once.

NE, OSR, SR and TL follow Matterport3DSimulator `tasks/R2R/eval.py`, SPL Anderson et al. (arXiv
1807.06757), nDTW and sDTW Ilharco et al. (arXiv 1907.05446), CLS Jain et al. (arXiv 1905.12255).
All distances are geodesic.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipnav.envs.graphs.goal import Goal
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics.table import Number, derive, path_efficiency
from clipnav.storage.errors import UnknownNameError, UserError

SUCCESS_THRESHOLD = 3.0  # metres; success is strictly less (R2R eval.py)

# Paths per batch: the tables fit in the processor's cache. Paths are sorted by size beforehand, so
# that little is padded.
_BATCH = 2048


def score_path(
    graph: NavGraph,
    prediction: Sequence[str],
    reference: Sequence[str],
    threshold: float = SUCCESS_THRESHOLD,
) -> dict[str, float]:
    """Score one walked path; `score_paths` is faster for many paths.

    Args:
        graph: Navigation graph of the building.
        prediction: Walked viewpoints, including the start. A viewpoint may follow itself, as in
            EnvDrop's files, which record turns. Since every entry is aligned, a repetition changes
            `dtw`, `ndtw` and `sdtw`, but no other metric.
        reference: Viewpoints of the reference path; the last one is the goal.
        threshold: Success radius in metres, also the scale of nDTW and CLS.

    Returns:
        Metrics by name. `trajectory_length`, `nav_error`, `oracle_error`, `dtw`,
        `shortest_path_length` (start to goal) and `reference_length` are in metres. `success`,
        `oracle_success`, `ndtw`, `sdtw`, `cls`, `spl` (relative to the shortest path, as in
        EnvDrop, CLIP-ViL and CLEAR) and `spl_reference` (relative to the reference path, as in HAMT
        and DUET; the two differ on RxR) are in 0..1.

    Raises:
        UserError: A path is empty, the reference is not connected, or the threshold is not
            positive.
        UnknownNameError: The graph has no such viewpoint.
        TypeError: The graph is not a `NavGraph`.
    """
    check_threshold(threshold)
    _check_graph(graph)
    walked = _rows(graph, prediction, "prediction")
    described = _rows(graph, reference, "reference")
    reference_length = _length(graph, described)
    if math.isinf(reference_length):
        raise UserError(
            f"scan '{graph.scan}': no path connects the reference viewpoints {list(reference)}"
        )
    between = graph.distances[walked[:, None], described].tolist()
    closeness = [math.exp(-min(column) / threshold) for column in zip(*between, strict=True)]
    metrics = _metrics(
        trajectory_length=_length(graph, walked),
        nav_error=between[-1][-1],
        oracle_error=min(row[-1] for row in between),
        dtw=warping_distance(between),
        coverage=sum(closeness) / len(closeness),
        shortest_path_length=graph.distances[described[0], described[-1]],
        reference_length=reference_length,
        reference_size=len(described),
        threshold=threshold,
        radius=threshold,
    )
    return {name: float(value) for name, value in metrics.items()}


def path_metrics(
    *,
    trajectory_length: np.ndarray | float,
    nav_error: np.ndarray | float,
    oracle_error: np.ndarray | float,
    dtw: np.ndarray | float,
    coverage_distances: np.ndarray,
    shortest_path_length: np.ndarray | float,
    reference_length: np.ndarray | float,
    reference_size: np.ndarray,
    threshold: float = SUCCESS_THRESHOLD,
    radius: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Compute all metrics of B paths from distances in metres, each of shape (B,).

    Args:
        coverage_distances: (B, R) distance from each reference viewpoint to the nearest walked one.
        threshold: Success radius in metres, also the scale of nDTW and CLS.
        radius: (B,) success radius of each path in metres; None for the threshold.
    """
    real = np.arange(coverage_distances.shape[1]) < reference_size[:, None]
    closeness = np.where(real, np.exp(-coverage_distances / threshold), 0.0)
    metrics = _metrics(
        trajectory_length=np.asarray(trajectory_length),
        nav_error=np.asarray(nav_error),
        oracle_error=np.asarray(oracle_error),
        dtw=np.asarray(dtw),
        coverage=closeness.sum(axis=1) / reference_size,
        shortest_path_length=np.asarray(shortest_path_length),
        reference_length=np.asarray(reference_length),
        reference_size=reference_size,
        threshold=threshold,
        radius=threshold if radius is None else radius,
    )
    return {name: np.asarray(value) for name, value in metrics.items()}


def next_dtw_rows(rows: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Return the next rows of the dynamic time warping tables of B paths.

    Args:
        rows: (R, B) last rows of the tables; their columns are the reference viewpoints.
        distances: (R, B) metres from one more walked viewpoint to the reference viewpoints.
    """
    result = np.empty_like(rows)
    result[0] = rows[0]
    np.minimum(rows[1:], rows[:-1], out=result[1:])
    result[0] += distances[0]
    for position in range(1, len(rows)):
        np.minimum(result[position], result[position - 1], out=result[position])
        result[position] += distances[position]
    return result


def align_walks(distances: np.ndarray, visits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Align B walks with their reference paths.

    Args:
        distances: (T, R, B) metres from each walked viewpoint to the reference viewpoints.
        visits: (B,) number of walked viewpoints, 1 to T; later distances are ignored.

    Returns:
        The last rows (R, B) of the dynamic time warping tables, and the distances (R, B) from each
        reference viewpoint to the nearest walked one.
    """
    dtw, nearest = distances[0].cumsum(axis=0), distances[0].copy()
    for visit, between in enumerate(distances[1:], 1):
        walked = visit < visits
        np.minimum(nearest, between, out=nearest, where=walked)
        np.copyto(dtw, next_dtw_rows(dtw, between), where=walked)
    return dtw, nearest


def _check_graph(graph: object) -> None:
    """Check that a graph is a `NavGraph`."""
    if not isinstance(graph, NavGraph):
        raise TypeError(f"{graph!r} is not a NavGraph; use NavGraph.load with the name of the scan")


def check_threshold(threshold: float) -> None:
    """Check that a success radius is a positive, finite number of metres."""
    if not 0 < threshold < math.inf:
        raise UserError(f"threshold {threshold}: must be a positive number of metres")


def _metrics(
    *,
    trajectory_length: Number,
    nav_error: Number,
    oracle_error: Number,
    dtw: Number,
    coverage: Number,
    shortest_path_length: Number,
    reference_length: Number,
    reference_size: Number,
    threshold: float,
    radius: Number,
) -> dict[str, Number]:
    """Apply the formulas to the floats of one path or to the arrays of many."""
    success = 1.0 * (nav_error < radius)
    ndtw = np.exp(-dtw / (threshold * reference_size))
    expected = coverage * reference_length
    spread = expected + abs(expected - trajectory_length)
    # A reference of length 0 whose viewpoint is never left counts as followed: 0 / 0 is 1 here.
    stayed = spread == 0
    columns = {
        "trajectory_length": trajectory_length,
        "nav_error": nav_error,
        "oracle_error": oracle_error,
        "success": success,
        "oracle_success": 1.0 * (oracle_error < radius),
        "spl": success * path_efficiency(shortest_path_length, trajectory_length),
        "dtw": dtw,
        "ndtw": ndtw,
        "cls": coverage * (expected + stayed) / (spread + stayed),
        "shortest_path_length": shortest_path_length,
        "reference_length": reference_length,
    }
    return derive(columns)


def _rows(graph: NavGraph, path: Sequence[str], kind: str) -> np.ndarray:
    if not path:
        raise UserError(f"the {kind} is empty: it needs at least one viewpoint")
    return np.array([graph.index(viewpoint) for viewpoint in path])


def _length(graph: NavGraph, rows: np.ndarray) -> float:
    return sum(graph.distances[rows[:-1], rows[1:]].tolist())


def warping_distance(between: list[list[float]]) -> float:
    """Return the dynamic time warping distance of a (walked, reference) table of distances."""
    row = list(itertools.accumulate(between[0]))
    for distances in between[1:]:
        previous, left, corner = row, math.inf, math.inf
        row = []
        for above, distance in zip(previous, distances, strict=True):
            # Three comparisons take half the time of min().
            best = above if above < left else left
            left = distance + (corner if corner < best else best)
            row.append(left)
            corner = above
    return row[-1]


def score_paths(
    graphs: NavGraph | Sequence[NavGraph],
    predictions: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    threshold: float = SUCCESS_THRESHOLD,
    goals: Sequence[Goal] | None = None,
) -> dict[str, np.ndarray]:
    """Score B walked paths; equivalent to calling `score_path` for each.

    Args:
        graphs: Graph of each path, or one graph for all paths.
        predictions: Walked viewpoints of each path.
        references: Viewpoints of each reference path.
        threshold: Success radius in metres.
        goals: Goal of each path; None if it is the last viewpoint of the reference path.

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
        _check_graph(graph)
    if not buildings or not len(buildings) == len(predictions) == len(references):
        raise UserError(
            f"{len(predictions)} predictions, {len(references)} references and {len(buildings)} "
            "graphs: the numbers must be equal and at least 1"
        )
    tables = _Tables(buildings)
    walked = tables.locate(buildings, predictions, "prediction")
    described = tables.locate(buildings, references, "reference")
    ends = None
    if goals is not None:
        ends = _Ends(
            tables.locate(buildings, [goal.viewpoints for goal in goals], "goal"),
            tables.locate(buildings, [goal.spl_ends for goal in goals], "goal"),
            np.array([goal.success_radius(threshold) for goal in goals]),
        )
    order = np.lexsort((described.sizes, walked.sizes))
    batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
    parts = [_score_batch(tables.flat, walked, described, b, threshold, ends) for b in batches]
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


@dataclass(frozen=True, eq=False)
class _Ends:
    """Viewpoints of the goals of B paths, those of their SPL, and success radii (B,) in metres."""

    goals: _PathEntries
    spl_ends: _PathEntries
    radii: np.ndarray


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
    ends: _Ends | None,
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
    nav_error = flat[walked_rows[-1] + columns[-1]]
    oracle_error, shortest = nearest[-1], flat[rows[0] + columns[-1]]
    if ends is not None:
        _, goals = ends.goals.padded(paths)  # (G, b)
        to_goals = flat[walked_rows[:, None] + goals].min(axis=1)  # (P, b)
        nav_error, oracle_error = to_goals[-1], to_goals.min(axis=0)
        shortest = flat[rows[0] + ends.spl_ends.padded(paths)[1]].min(axis=0)
    return path_metrics(
        trajectory_length=flat[walked_rows[:-1] + walked_columns[1:]].sum(axis=0),
        nav_error=nav_error,
        oracle_error=oracle_error,
        dtw=dtw,
        coverage_distances=nearest.T,
        shortest_path_length=shortest,
        reference_length=reference_lengths,
        reference_size=reference_sizes,
        threshold=threshold,
        radius=None if ends is None else ends.radii[paths],
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

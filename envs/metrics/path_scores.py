"""Metrics of one walked path, and the formulas of all metrics.

NE, OSR, SR and TL follow Matterport3DSimulator `tasks/R2R/eval.py`, SPL Anderson et al. (arXiv
1807.06757), nDTW and sDTW Ilharco et al. (arXiv 1907.05446), CLS Jain et al. (arXiv 1905.12255).
All distances are geodesic.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.storage.errors import UserError

SUCCESS_THRESHOLD = 3.0  # metres; success is strictly less (R2R eval.py)
_SHORTEST = 0.01  # metres; EnvDrop's lower bound of the path length in SPL

Number = Any  # a float, or an array (B,)


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
    check_graph(graph)
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
) -> dict[str, np.ndarray]:
    """Compute all metrics of B paths from distances in metres, each of shape (B,).

    Args:
        coverage_distances: (B, R) distance from each reference viewpoint to the nearest walked one.
        threshold: Success radius in metres.
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


def check_graph(graph: object) -> None:
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
) -> dict[str, Number]:
    """Apply the formulas to the floats of one path or to the arrays of many."""
    success = 1.0 * (nav_error < threshold)
    ndtw = np.exp(-dtw / (threshold * reference_size))
    expected = coverage * reference_length
    spread = expected + abs(expected - trajectory_length)
    # A reference of length 0 whose viewpoint is never left counts as followed: 0 / 0 is 1 here.
    stayed = spread == 0
    return {
        "trajectory_length": trajectory_length,
        "nav_error": nav_error,
        "oracle_error": oracle_error,
        "success": success,
        "oracle_success": 1.0 * (oracle_error < threshold),
        "spl": success * _efficiency(shortest_path_length, trajectory_length),
        "spl_reference": success * _efficiency(reference_length, trajectory_length),
        "dtw": dtw,
        "ndtw": ndtw,
        "sdtw": success * ndtw,
        "cls": coverage * (expected + stayed) / (spread + stayed),
        "shortest_path_length": shortest_path_length,
        "reference_length": reference_length,
    }


def _rows(graph: NavGraph, path: Sequence[str], kind: str) -> np.ndarray:
    if not path:
        raise UserError(f"the {kind} is empty: it needs at least one viewpoint")
    return np.array([graph.index(viewpoint) for viewpoint in path])


def _length(graph: NavGraph, rows: np.ndarray) -> float:
    return sum(graph.distances[rows[:-1], rows[1:]].tolist())


def _efficiency(ideal: Number, length: Number) -> Number:
    return ideal / np.maximum(np.maximum(ideal, length), _SHORTEST)


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

"""Heat maps of waypoints around a place: targets, peaks and measures.

A heat map (120, 12) has a row for each 3 degrees clockwise from the heading of the agent, and a
column for each 0.25 m. Hong et al., "Bridging the Gap Between Learning in Discrete and Continuous
Environments for Vision-and-Language Navigation" (CVPR 2022): wz0919/waypoint-predictor ac35754,
YicongHong/Discrete-Continuous-VLN 2aa38fa.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from clipnav.agents.waypoints.settings import Suppression, TargetRule

ANGLES, DISTANCES = 120, 12
ANGLE_STEP = 2 * np.pi / ANGLES  # radians
_DISTANCE_STEP = 0.25  # metres
REACH = DISTANCES * _DISTANCE_STEP  # metres
MOST_WAYPOINTS = 5
FULL_SCORE = 10.0  # of a target
_NEAR_ANGLES, _NEAR_DISTANCES = 5, 7  # bins around a peak that it suppresses
_SPREAD = (1, 2)  # bins of angle and distance, of the Gaussian around a target
_LEAST_PEAK = 7.5  # of a map whose place is used
_VIEW_ANGLES = ANGLES // 12  # angle bins of a view

Peak = tuple[int, int]  # angle bin and distance bin


def count_open_bins(free: np.ndarray) -> np.ndarray:
    """Return the number of distance bins (...) before the obstacle in each direction.

    Args:
        free: (...) metres of the straight walk, inf without an obstacle.
    """
    return (np.minimum(free, REACH) // _DISTANCE_STEP).astype(int)


def cells(angles: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bins (K,) of angles in radians and of distances in metres.

    A distance below 0.25 m has the bin -1, and one of 3.25 m or more a bin of 12 or more.
    """
    rows = np.rint(np.asarray(angles) / ANGLE_STEP).astype(int) % ANGLES
    return rows, (np.asarray(distances) // _DISTANCE_STEP).astype(int) - 1


class Target(NamedTuple):
    """Target of a viewpoint.

    Attributes:
        heat: (120, 12) map in 0..10.
        kept: (K,) indices of the neighbours that are in it.
    """

    heat: np.ndarray
    kept: list[int]


def make_target(
    angles: np.ndarray, distances: np.ndarray, open_bins: np.ndarray, rule: TargetRule = "intended"
) -> Target | None:
    """Return the target of a viewpoint, None if it has none.

    It has none if no neighbour is 0.25 m to 3.25 m away, or if obstacles hide all of them.

    Args:
        angles: (N,) directions of the neighbours in radians.
        distances: (N,) their distances in metres.
        open_bins: (120,) number of distance bins before the obstacle in each direction.
        rule: "intended" leaves out neighbours that are out of range, and keeps the farthest one of
            an angle bin. "published" puts those out of range at 2.75 m, because the program
            compares their bin with the wrong number, and keeps a nearer one that comes first.
    """
    rows, columns = cells(angles, distances)
    in_range = (columns >= 0) & (columns < DISTANCES)
    columns = np.where(in_range, columns, DISTANCES - 2)
    kept: list[int] = []
    for index in np.flatnonzero(in_range | (rule == "published")).tolist():
        rivals = [k for k in kept if rows[k] == rows[index]]
        if any(distances[k] > distances[index] for k in rivals):
            continue
        if rule == "intended":
            kept = [k for k in kept if k not in rivals]
        kept.append(index)
    if not kept:
        return None
    peaks = np.zeros((ANGLES, DISTANCES))
    peaks[rows[kept], columns[kept]] = 1
    # The Gaussian wraps around the angles; zeros keep it from wrapping around the distances.
    padded = np.pad(peaks, ((0, 0), (10, 10)))
    blurred = gaussian_filter(padded, _SPREAD, mode="wrap")[:, 10:-10]
    heat = FULL_SCORE * blurred / blurred.max() * (np.arange(DISTANCES) < open_bins[:, None])
    return Target(heat, kept) if heat.max() >= _LEAST_PEAK else None


def find_peaks(logits: np.ndarray, suppression: Suppression = "circular") -> list[Peak]:
    """Return up to five peaks (angle bin, distance bin) of a heat map (120, 12), the highest first.

    Each peak suppresses the cells around it. With "circular" these are 5 angle bins, on the circle,
    and 7 distance bins on each side.

    "published" has the three peculiarities of the original. The circle is that of the distances:
    above a peak in one of the first four bins, the last bins of the same direction stay free. A
    column is copied at each end of the angles, where a peak is found twice, and counts once. The
    row of a peak is a fraction, so that one angle bin less is suppressed on one side.
    """
    exponents = np.exp(logits - logits.max(), dtype=np.float32)
    heat = exponents / exponents.sum()
    rows, columns = np.arange(ANGLES), np.arange(DISTANCES)
    if suppression == "published":
        heat, rows = np.concatenate([heat[-1:], heat, heat[:1]]), np.arange(ANGLES + 2)
    peaks: list[Peak] = []
    for _ in range(MOST_WAYPOINTS):
        index = int(heat.argmax())
        row, column = divmod(index, DISTANCES)
        if heat[row, column] <= 0:
            break
        away = np.abs(columns - column)
        if suppression == "published":
            peaks.append((row - 1, column))
            near = np.abs(rows - index / DISTANCES) <= _NEAR_ANGLES
            away = np.minimum(away, np.abs(columns - column + DISTANCES))
        else:
            peaks.append((row, column))
            turn = np.abs(rows - row)
            near = np.minimum(turn, ANGLES - turn) <= _NEAR_ANGLES
        heat = np.where(near[:, None] & (away <= _NEAR_DISTANCES), 0.0, heat)
    return [peak for peak in peaks if 0 <= peak[0] < ANGLES]


def resample(
    logits: np.ndarray, peaks: Sequence[Peak], rng: np.random.Generator, rule: TargetRule
) -> list[Peak]:
    """Replace each peak by a sample of the softmax over its view, an augmentation of ETPNav.

    A view has ten angle bins, five before and four after its middle. "published" takes the bins -5
    to 4 of the view ahead for the bins 0 to 9.
    """
    half = _VIEW_ANGLES // 2
    sampled = []
    for angle, _ in peaks:
        first = (angle + half) // _VIEW_ANGLES * _VIEW_ANGLES % ANGLES - half
        block = logits[np.arange(first, first + _VIEW_ANGLES) % ANGLES].ravel().astype(float)
        chances = np.exp(block - block.max())
        cell = int(rng.choice(len(chances), p=chances / chances.sum()))
        if rule == "published" and first < 0:
            first = 0
        sampled.append(((first + cell // DISTANCES) % ANGLES, cell % DISTANCES))
    return sampled


def polar(peaks: Iterable[Peak]) -> tuple[np.ndarray, np.ndarray]:
    """Return the angles (K,) in radians, ascending, and the distances (K,) in metres of peaks."""
    cells = np.array(sorted(set(peaks)))
    return cells[:, 0] * ANGLE_STEP, (cells[:, 1] + 1) * _DISTANCE_STEP


def candidates(logits: np.ndarray, suppression: Suppression) -> tuple[np.ndarray, np.ndarray]:
    """Return the angles (K,) in radians and the distances (K,) in metres of the peaks of a map."""
    return polar(find_peaks(logits, suppression))


def _points(angles: np.ndarray, distances: np.ndarray) -> np.ndarray:
    return distances[:, None] * np.stack([np.sin(angles), np.cos(angles)], axis=1)


def measures(
    waypoints: tuple[np.ndarray, np.ndarray],
    neighbours: tuple[np.ndarray, np.ndarray],
    target: np.ndarray,
    open_bins: np.ndarray,
) -> dict[str, float]:
    """Compare the waypoints of a place with its neighbours in the graph.

    Args:
        waypoints: Angles (K,) in radians and distances (K,) in metres.
        neighbours: Those of the neighbours that are in the target.
        target: (120, 12) map of `make_target`.
        open_bins: (120,) number of distance bins before the obstacle in each direction.

    Returns:
        "open", the number of waypoints before obstacles; "score", the mean target at the
        waypoints as a share of 10; "distance", metres from a neighbour to the nearest waypoint;
        "chamfer", the mean of both directions of it, and "hausdorff", the largest of both; "count"
        of waypoints; and "delta", the number of waypoints less that of neighbours.
    """
    rows, columns = cells(*waypoints)
    columns = columns.clip(0, DISTANCES - 1)
    away = np.linalg.norm(_points(*waypoints)[:, None] - _points(*neighbours), axis=2)
    to_neighbours, to_waypoints = away.min(axis=0), away.min(axis=1)
    return {
        "open": float((columns < open_bins[rows]).sum()),
        "score": float(target[rows, columns].mean()) / FULL_SCORE,
        "distance": float(to_neighbours.mean()),
        "chamfer": float(to_neighbours.mean() + to_waypoints.mean()) / 2,
        "hausdorff": float(max(to_neighbours.max(), to_waypoints.max())),
        "count": float(len(rows)),
        "delta": float(len(rows) - away.shape[1]),
    }


def summarise_measures(results: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the means over places; "open" becomes the share of all waypoints."""
    summary = {name: float(np.mean([one[name] for one in results])) for name in results[0]}
    return {**summary, "open": summary["open"] / summary["count"]}

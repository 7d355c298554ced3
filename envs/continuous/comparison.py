"""Comparison of two simulators of one building: views, depth and geodesic distances."""

from dataclasses import dataclass

import numpy as np

from clipnav.envs.continuous.simulator import Simulator

HEADINGS = np.arange(4) * np.pi / 2
_BATCH = 16  # pictures that are drawn and compared at a time
_NEAR = 0.01  # metres


@dataclass(frozen=True)
class SimulatorComparison:
    """Differences between two simulators.

    Attributes:
        scan: Name of the building.
        views: Number of pictures.
        psnr: Median over the pictures of the peak signal-to-noise ratio of the colours in dB.
        depth_error: Median absolute difference of the depth in metres, where both hit something.
        depth_share: Share of these pixels whose depth differs by at most 1 cm.
        sky_share: Share of the pixels in which only one of both hits something.
        pairs: Number of pairs of positions.
        distance_error: Median difference of geodesic distances, relative to the first simulator's.
        largest_distance_error: The largest one.
        unreachable: Number of pairs that are connected in only one of both.
    """

    scan: str
    views: int
    psnr: float
    depth_error: float
    depth_share: float
    sky_share: float
    pairs: int
    distance_error: float
    largest_distance_error: float
    unreachable: int


def compare_simulators(
    scan: str, first: Simulator, second: Simulator, positions: np.ndarray, pairs: int, seed: int = 0
) -> SimulatorComparison:
    """Compare two simulators with the same settings.

    Args:
        positions: (N, 3) positions on the floor; at each, four directions are drawn.
    """
    psnr, errors, one_sided = [], [], []
    places = positions.repeat(len(HEADINGS), axis=0)
    headings = np.tile(HEADINGS, len(positions))
    for start in range(0, len(places), _BATCH):
        rows = slice(start, start + _BATCH)
        names = [scan] * len(places[rows])
        poses = names, places[rows], headings[rows], np.zeros(len(names)), ("rgb", "depth")
        mine, other = first.draw(*poses), second.draw(*poses)
        psnr += _psnr(mine["rgb"], other["rgb"])
        hit = (mine["depth"] > 0) & (other["depth"] > 0)
        errors.append(np.abs(mine["depth"] - other["depth"])[hit])
        one_sided.append(((mine["depth"] > 0) != (other["depth"] > 0)).ravel())
    error, sky = np.concatenate(errors), np.concatenate(one_sided)
    relative, unreachable = _distance_errors(scan, first, second, positions, pairs, seed)
    return SimulatorComparison(
        scan=scan,
        views=len(places),
        psnr=float(np.median(psnr)),
        depth_error=float(np.median(error)),
        depth_share=float((error <= _NEAR).mean()),
        sky_share=float(sky.mean()),
        pairs=pairs,
        distance_error=float(np.median(relative)),
        largest_distance_error=float(relative.max()),
        unreachable=unreachable,
    )


def _psnr(first: np.ndarray, second: np.ndarray) -> list[float]:
    """Return the PSNR of each pair of pictures (N, H, W, 3) uint8 in dB, inf for equal ones."""
    squares = (first.astype(float) - second) ** 2
    with np.errstate(divide="ignore"):
        return (10 * np.log10(255**2 / squares.mean(axis=(1, 2, 3)))).tolist()


def _distance_errors(
    scan: str, first: Simulator, second: Simulator, positions: np.ndarray, pairs: int, seed: int
) -> tuple[np.ndarray, int]:
    """Return relative differences (M,), and the number of pairs connected in one of both only."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(len(positions), size=pairs)
    # Another position than the start.
    ends = (starts + rng.integers(1, len(positions), size=pairs)) % len(positions)
    mine, other = (
        simulator.floor(scan).distances(positions[starts], positions[ends])
        for simulator in (first, second)
    )
    known = np.isfinite(mine) & np.isfinite(other)
    relative = np.abs(other[known] - mine[known]) / mine[known]
    one_sided = np.isfinite(mine) != np.isfinite(other)
    return relative if known.any() else np.array([np.nan]), int(one_sided.sum())

"""Storey of each viewpoint of a building, derived from the floor heights."""

import numpy as np

_BIN = 0.25  # metres
_APART = 2.0  # metres at least between two storeys
_SHARE = 0.08  # of all viewpoints that a storey holds at least


def storeys(floors: np.ndarray) -> np.ndarray:
    """Assign a storey to each viewpoint.

    Storeys are heights at which many viewpoints stand; those on stairs and split levels belong to
    the nearest.

    Args:
        floors: (N,) heights of the floor in metres.

    Returns:
        (N,) storey from 0, the lowest.
    """
    low = floors.min()
    bins = np.rint((floors - low) / _BIN).astype(int)
    # A floor that lies across two bins counts in both.
    counts = np.convolve(np.bincount(bins), [1, 1, 1], mode="same")
    levels: list[float] = []
    for candidate in np.argsort(-counts, kind="stable"):
        if counts[candidate] < max(1, _SHARE * len(floors)) and levels:
            break
        height = low + candidate * _BIN
        if all(abs(height - level) >= _APART for level in levels):
            levels.append(height)
    ordered = np.sort(np.array(levels))
    return np.abs(floors[:, None] - ordered).argmin(1)

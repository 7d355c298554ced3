"""Storey of each viewpoint of a building, derived from the floor heights."""

import numpy as np

_BIN = 0.25  # bin width of floor heights in metres
_MIN_HEIGHT = 2.0  # minimum height of a storey in metres
_MIN_SHARE = 0.08  # minimum share of the viewpoints that a storey contains


def storeys(floors: np.ndarray) -> np.ndarray:
    """Assign a storey to each viewpoint.

    Storeys are floor heights of many viewpoints; viewpoints on stairs and split levels belong to
    the nearest storey.

    Args:
        floors: (N,) heights of the floor in metres.

    Returns:
        (N,) storey from 0, the lowest.
    """
    low = floors.min()
    bins = np.rint((floors - low) / _BIN).astype(int)
    # The sum over three bins counts floors whose heights fall into two bins.
    counts = np.convolve(np.bincount(bins), [1, 1, 1], mode="same")
    levels: list[float] = []
    for candidate in np.argsort(-counts, kind="stable"):
        if counts[candidate] < max(1, _MIN_SHARE * len(floors)) and levels:
            break
        height = low + candidate * _BIN
        if all(abs(height - level) >= _MIN_HEIGHT for level in levels):
            levels.append(height)
    ordered = np.sort(np.array(levels))
    return np.abs(floors[:, None] - ordered).argmin(1)

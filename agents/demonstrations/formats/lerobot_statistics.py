"""Statistics of a LeRobotDataset: minimum, maximum, mean, deviation, count and quantiles."""

from typing import Any

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
Statistics = dict[str, list[Any]]

_LEVELS = np.arange(256) / 255.0


def of_values(values: np.ndarray) -> Statistics:
    """Return the statistics of the columns of an array (N, D)."""
    values = np.asarray(values, np.float64)
    return {
        "min": values.min(0).tolist(),
        "max": values.max(0).tolist(),
        "mean": values.mean(0).tolist(),
        "std": values.std(0).tolist(),
        "count": [len(values)],
        **{name: np.quantile(values, q, axis=0).tolist() for name, q in QUANTILES.items()},
    }


def histogram(picture: np.ndarray) -> np.ndarray:
    """Return the (3, 256) number of pixels of each level in a picture (H, W, 3) uint8."""
    flat = picture.reshape(-1, 3)
    return np.stack([np.bincount(flat[:, channel], minlength=256) for channel in range(3)])


def of_pictures(levels: np.ndarray, count: int) -> Statistics:
    """Return the statistics of pictures with values in 0..1, of shape (3, 1, 1).

    Args:
        levels: (3, 256) sum of the histograms of the pictures.
        count: Number of pictures.
    """
    total = levels.sum(1, keepdims=True)
    mean = (levels @ _LEVELS) / total[:, 0]
    square = (levels @ _LEVELS**2) / total[:, 0]
    cumulative = levels.cumsum(1)
    present = levels > 0
    numbers = {
        "min": _LEVELS[present.argmax(1)],
        "max": _LEVELS[255 - present[:, ::-1].argmax(1)],
        "mean": mean,
        "std": np.sqrt(np.maximum(square - mean**2, 0)),
        **{name: _LEVELS[(cumulative >= q * total).argmax(1)] for name, q in QUANTILES.items()},
    }
    return {name: value.reshape(3, 1, 1).tolist() for name, value in numbers.items()} | {
        "count": [count]
    }

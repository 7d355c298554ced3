"""How sure a mean over a split is: bootstrap intervals.

Paths are resampled, not instructions. The instructions of one path share its building, start and
goal, so that an agent tends to fail or to succeed at all of them: they are not independent, and
resampling them one by one gives intervals that are too narrow (Field and Welsh, 2007, compare ways
to bootstrap clustered data). The intervals speak of other paths in these buildings, with one
trained agent; other buildings and other training seeds vary more.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

_CHUNK = 250  # resamples at a time, which bounds memory


class Interval(NamedTuple):
    """A mean and its confidence interval."""

    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: np.ndarray | Sequence[float],
    seed: int = 0,
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Mean of values with its percentile bootstrap interval.

    Args:
        values: (B,) one metric of each instruction.
        seed: Of the resampling.
        clusters: What each value belongs to, such as its path: clusters are resampled whole. Each
            value is on its own when None.
        confidence: Probability that the interval is to hold.
        resamples: How often to resample.

    Raises:
        ValueError: No value, one that is not finite, or arguments that do not fit.
    """
    columns = {"values": np.asarray(values, dtype=np.float64)}
    return bootstrap_intervals(
        columns, seed, clusters=clusters, confidence=confidence, resamples=resamples
    )["values"]


def bootstrap_intervals(
    columns: Mapping[str, np.ndarray],
    seed: int = 0,
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> dict[str, Interval]:
    """Like `bootstrap_interval`, for several metrics (B,) of the same instructions at once."""
    values = np.stack([np.asarray(column, dtype=np.float64) for column in columns.values()], axis=1)
    if not values.size or not np.isfinite(values).all():
        raise ValueError("a bootstrap needs at least one value, and finite ones")
    if not 0 < confidence < 1 or resamples < 1:
        raise ValueError(f"confidence {confidence} or resamples {resamples} out of range")
    labels = range(len(values)) if clusters is None else clusters
    if len(labels) != len(values):
        raise ValueError(f"{len(labels)} clusters for {len(values)} values")
    means = _resampled_means(values, labels, np.random.default_rng(seed), resamples)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return {
        name: Interval(float(values[:, i].mean()), float(low[i]), float(high[i]))
        for i, name in enumerate(columns)
    }


def paired_difference(
    first: np.ndarray | Sequence[float],
    second: np.ndarray | Sequence[float],
    seed: int = 0,
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Mean of `second - first` over the same instructions, with its interval.

    What is easy or hard for both cancels out, so it is narrower than the two intervals suggest:
    an interval without 0 tells two submissions apart on this split.

    Args:
        first: (B,) one metric of one submission.
        second: (B,) of the other, in the same order.
        seed: As in `bootstrap_interval`, like the rest.
        clusters: Path of each instruction.
        confidence: Probability that the interval is to hold.
        resamples: How often to resample.

    Raises:
        ValueError: The two have different lengths, or as in `bootstrap_interval`.
    """
    if len(first) != len(second):
        raise ValueError(f"a pair of {len(first)} and {len(second)} values")
    return bootstrap_interval(
        np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64),
        seed,
        clusters=clusters,
        confidence=confidence,
        resamples=resamples,
    )


def _resampled_means(
    values: np.ndarray, labels: Sequence[Hashable], rng: np.random.Generator, resamples: int
) -> np.ndarray:
    """(resamples, M) means of values (B, M), drawing as many clusters as there are."""
    numbers: dict[Hashable, int] = {}
    members = np.array([numbers.setdefault(label, len(numbers)) for label in labels])
    count = len(numbers)
    sums = np.stack(
        [np.bincount(members, weights=column, minlength=count) for column in values.T], axis=1
    )
    sizes = np.bincount(members, minlength=count)
    means = []
    for start in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - start)
        draws = rng.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(draws.ravel(), minlength=rows * count).reshape(rows, count)
        weights = times.astype(np.float64)
        means.append((weights @ sums) / (weights @ sizes)[:, None])
    return np.concatenate(means)

"""Confidence intervals of means over a split, by the bootstrap, and of means over trainings.

Buildings are resampled, not paths or instructions. The instructions of one path share its start and
goal, and the paths of one building share its rooms, so an agent tends to succeed or fail at all of
them. They are not independent, and resampling them individually gives intervals that are too narrow
(Field and Welsh, 2007, compare bootstraps of clustered data). The intervals cover other buildings
for one trained agent; the intervals over several trainings also cover other training seeds.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from clipnav.storage.errors import UserError

_CHUNK = 250  # resamples per chunk, to bound memory
_RELATIVE, _ABSOLUTE = 1e-9, 1e-12  # differences that are rounding errors


class Interval(NamedTuple):
    """A mean and its confidence interval; the ends are NaN where there is none."""

    mean: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        """Return the fields, with null for NaN."""
        return {name: None if math.isnan(x) else x for name, x in self._asdict().items()}


def _check_confidence(confidence: float) -> None:
    """Check that a confidence level is between 0 and 1."""
    if not 0 < confidence < 1:
        raise UserError(f"confidence {confidence}: must be between 0 and 1, such as 0.95")


def bootstrap_interval(
    values: np.ndarray | Sequence[float],
    seed: int = 0,
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Return the mean of values with its percentile bootstrap interval.

    The percentiles are expanded (Hesterberg, 2015), because resamples of few clusters vary less
    than new clusters would: those of 8 clusters at 95 % are 0.6 % and 99.4 %. The ends are NaN if
    there is only one cluster.

    Args:
        values: (B,) one metric of each instruction.
        clusters: Cluster of each value, such as its building; clusters are resampled as a whole.
            None resamples single values.
        confidence: Confidence level in (0, 1).
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
    """Return the intervals of several metrics (B,) of the same instructions in one pass.

    See `bootstrap_interval`.
    """
    from scipy.stats import norm, t

    values = np.stack([np.asarray(column, dtype=np.float64) for column in columns.values()], axis=1)
    if not values.size or not np.isfinite(values).all():
        raise UserError("a bootstrap interval needs at least one value, and all must be finite")
    _check_confidence(confidence)
    if resamples < 1:
        raise UserError(f"resamples {resamples}: must be at least 1")
    labels = range(len(values)) if clusters is None else clusters
    if len(labels) != len(values):
        raise UserError(f"{len(labels)} clusters for {len(values)} values")
    members, count = _cluster_numbers(labels)
    if count == 1:
        low = high = np.full(values.shape[1], math.nan)
    else:
        rng, means = np.random.default_rng(seed), []
        sums = np.stack([np.bincount(members, column, count) for column in values.T], axis=1)
        sizes = np.bincount(members, minlength=count)
        for start in range(0, resamples, _CHUNK):
            rows = min(_CHUNK, resamples - start)
            draws = rng.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
            times = np.bincount(draws.ravel(), minlength=rows * count).reshape(rows, count)
            weights = times.astype(np.float64)
            means.append((weights @ sums) / (weights @ sizes)[:, None])
        expanded = math.sqrt(count / (count - 1)) * t.ppf((1 - confidence) / 2, count - 1)
        low, high = np.quantile(np.concatenate(means), norm.cdf([expanded, -expanded]), axis=0)
    return {
        name: Interval(float(values[:, i].mean()), float(low[i]), float(high[i]))
        for i, name in enumerate(columns)
    }


def paired_gains(
    first: np.ndarray | Sequence[float], second: np.ndarray | Sequence[float]
) -> np.ndarray:
    """Return `second - first` (B,), 0 where both are equal apart from rounding.

    Sums of the same numbers in another order differ in the last digits. Such differences often have
    the same sign, so that an interval of their mean would exclude 0. The difference of two infinite
    values is NaN.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        gains = second - first
    is_rounding = np.isfinite(gains) & np.isclose(second, first, _RELATIVE, _ABSOLUTE)
    return np.where(is_rounding, 0.0, gains)


def paired_difference(
    first: np.ndarray | Sequence[float],
    second: np.ndarray | Sequence[float],
    seed: int = 0,
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Return the mean of `second - first` over the same instructions, with its interval.

    Difficulty that both share cancels out, so the interval is narrower than the two single
    intervals suggest. An interval that excludes 0 means that these two agents differ; other seeds
    of the same trainings may not, see `seed_difference`. Differences that are only rounding errors
    count as 0.

    Args:
        first: (B,) one metric of one submission.
        second: (B,) the same metric of the other submission, in the same order.
        confidence: Confidence level in (0, 1).
    """
    if len(first) != len(second):
        raise UserError(f"cannot pair {len(first)} values with {len(second)}")
    return bootstrap_interval(
        paired_gains(first, second),
        seed,
        clusters=clusters,
        confidence=confidence,
        resamples=resamples,
    )


def _cluster_numbers(labels: Sequence[Hashable]) -> tuple[np.ndarray, int]:
    """Return the number (B,) of the cluster of each label, and the number of clusters."""
    ids: dict[Hashable, int] = {}
    members = np.array([ids.setdefault(label, len(ids)) for label in labels])
    return members, len(ids)


def seed_interval(values: Sequence[float] | np.ndarray, confidence: float = 0.95) -> Interval:
    """Return the mean of a metric over training runs with Student's t interval.

    The interval covers other seeds on the same episodes, while `bootstrap_interval` covers other
    episodes for the same trained agents. The bounds of a single run are NaN.

    Args:
        values: (S,) metric of each run.
        confidence: Confidence level in (0, 1).
    """
    from scipy.stats import t

    _check_confidence(confidence)
    figures = np.asarray(values, dtype=np.float64)
    if not figures.size or not np.isfinite(figures).all():
        raise UserError("a seed interval needs at least one value, and all must be finite")
    mean, count = float(figures.mean()), len(figures)
    if count == 1:
        return Interval(mean, math.nan, math.nan)
    half = t.ppf((1 + confidence) / 2, count - 1) * figures.std(ddof=1) / math.sqrt(count)
    return Interval(mean, mean - float(half), mean + float(half))


def seed_difference(
    first: np.ndarray,
    second: np.ndarray,
    clusters: Sequence[Hashable],
    confidence: float = 0.95,
) -> Interval:
    """Return the mean of `second - first` with its interval over seeds and clusters.

    The variance of the difference is that of the means of the runs, plus that over clusters without
    the part that the runs already contain (differences between seeds on single clusters). The
    interval is Welch's: Student's law with the degrees of freedom of Satterthwaite (1946).

    Args:
        first: (S, B) metric of each run of one row on the same B items.
        second: (T, B) the same metric of the other row. A single run beside several counts as
            deterministic.
        confidence: Confidence level in (0, 1).
    """
    from scipy.stats import t

    _check_confidence(confidence)
    mean = float(paired_gains(first.mean(0), second.mean(0)).mean())
    members, count = _cluster_numbers(clusters)
    if count == 1 or len(first) == len(second) == 1:
        return Interval(mean, math.nan, math.nan)
    parts = []  # variance and its degrees of freedom
    shares, counted = np.zeros(count), 0.0
    for runs, sign in ((first, -1), (second, 1)):
        centred = sign * (runs - runs.mean(1, keepdims=True)) / runs.shape[1]
        own = np.stack([np.bincount(members, run, count) for run in centred])  # (S, clusters)
        shares += own.mean(0)
        if len(runs) > 1:
            parts.append((runs.mean(1).var(ddof=1) / len(runs), len(runs) - 1))
            counted += own.var(0, ddof=1).sum() / len(runs)
    over_clusters = max(0.0, float((shares**2).sum() - counted)) * count / (count - 1)
    parts.append((over_clusters, count - 1))
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return Interval(mean, math.nan, math.nan)
    freedom = variance**2 / sum(part**2 / own for part, own in parts)
    half = float(t.ppf((1 + confidence) / 2, freedom) * math.sqrt(variance))
    return Interval(mean, mean - half, mean + half)

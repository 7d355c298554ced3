"""Confidence intervals over training seeds.

A bootstrap cannot resample two or three seeds: the interval of a difference of two rows of two
seeds would miss zero in a third of all comparisons without a difference. Student's law can.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np

from clipnav.envs.metrics.bootstrap import Interval, check_confidence, cluster_numbers, paired_gains
from clipnav.storage.errors import UserError


def seed_interval(values: Sequence[float] | np.ndarray, confidence: float = 0.95) -> Interval:
    """Return the mean of a metric over training runs with Student's t interval.

    The interval covers other seeds on the same episodes, while `bootstrap_interval` covers other
    episodes for the same trained agents. The bounds of a single run are NaN.

    Args:
        values: (S,) metric of each run.
        confidence: Confidence level in (0, 1).
    """
    from scipy.stats import t

    check_confidence(confidence)
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

    check_confidence(confidence)
    mean = float(paired_gains(first.mean(0), second.mean(0)).mean())
    members, count = cluster_numbers(clusters)
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

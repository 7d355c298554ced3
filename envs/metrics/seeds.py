"""Confidence intervals over training seeds."""

import math
from collections.abc import Sequence

import numpy as np

from envs.metrics.bootstrap import Interval, check_confidence
from storage.errors import UserError


def seed_interval(values: Sequence[float] | np.ndarray, confidence: float = 0.95) -> Interval:
    """Return the mean of a metric over training runs with Student's t interval.

    The interval covers other seeds on the same episodes, while `bootstrap_interval` covers other
    episodes for the same trained agents. The bounds of a single run are NaN.

    Args:
        values: (S,) metric of each run.
        confidence: Confidence level in (0, 1).

    Raises:
        UserError: There are no values, one is not finite, or the level is not between 0 and 1.
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

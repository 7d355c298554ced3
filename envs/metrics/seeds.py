"""How sure a mean over trainings is: intervals over seeds."""

import math
from collections.abc import Sequence

import numpy as np

from envs.metrics.bootstrap import Interval


def seed_interval(values: Sequence[float] | np.ndarray, confidence: float = 0.95) -> Interval:
    """Mean of one figure of several trainings, with Student's interval.

    It speaks of other seeds on the same episodes, while `bootstrap_interval` speaks of other
    episodes for the same trained agents. Of a single training the ends are NaN.

    Args:
        values: (S,) the figure of each training.
        confidence: Probability that the interval is to hold.

    Raises:
        ValueError: No value, or one that is not finite.
    """
    from scipy.stats import t

    figures = np.asarray(values, dtype=np.float64)
    if not figures.size or not np.isfinite(figures).all():
        raise ValueError("an interval over trainings needs at least one value, and finite ones")
    mean, count = float(figures.mean()), len(figures)
    if count == 1:
        return Interval(mean, math.nan, math.nan)
    half = t.ppf((1 + confidence) / 2, count - 1) * figures.std(ddof=1) / math.sqrt(count)
    return Interval(mean, mean - float(half), mean + float(half))

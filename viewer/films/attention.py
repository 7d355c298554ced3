"""Display strength of attention weights, as on the page (`static/attention.js`)."""

from collections.abc import Sequence

import numpy as np

_FULL = 2.5  # times the uniform weight; has full strength if no weight is larger


def strengths(weights: Sequence[float] | np.ndarray, count: int | None = None) -> np.ndarray:
    """Return the display strength of each weight: 0 up to the uniform weight, 1 at the largest.

    Args:
        weights: Attention weights.
        count: Number of items that share the attention; the number of weights by default.
    """
    values = np.asarray(weights, float)
    uniform = 1 / max(count or len(values), 1)
    largest = max(_FULL * uniform, float(values.max(initial=0)))
    return np.clip(values - uniform, 0, None) / (largest - uniform)


def blended(
    before: Sequence[float] | None, now: Sequence[float] | None, share: float
) -> np.ndarray | None:
    """Interpolate between the weights of two steps; None if neither has any."""
    if before is None and now is None:
        return None
    old, new = (None if w is None else np.asarray(w, float) for w in (before, now))
    if old is None or new is None:
        weights, part = (new, share) if old is None else (old, 1 - share)
        assert weights is not None
        return part * weights
    return (1 - share) * old + share * new

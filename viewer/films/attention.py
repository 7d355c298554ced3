"""Display strength of attention weights, as on the page (`static/attention.js`)."""

from collections.abc import Sequence

import numpy as np

_FULL = 2.5  # times the uniform weight; has full strength if no weight is larger


def strengths(weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the display strength of attention weights: 0 up to the uniform one, 1 at the largest.

    Args:
        weights: Attention weights of all items.
    """
    values = np.asarray(weights, float)
    uniform = 1 / max(len(values), 1)
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

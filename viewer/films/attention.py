"""How strongly attention is coloured, as on the page (`static/attention.js`)."""

from collections.abc import Sequence

import numpy as np

_FULL = 2.5  # even shares that are coloured fully, if no weight is larger


def strengths(weights: Sequence[float] | np.ndarray, count: int | None = None) -> np.ndarray:
    """Strength 0..1 of the colour of each weight: 0 up to an even share, 1 at the largest.

    Args:
        weights: Of attention.
        count: Among how many the attention is divided; all weights by default.
    """
    found = np.asarray(weights, float)
    even = 1 / max(count or len(found), 1)
    most = max(_FULL * even, float(found.max(initial=0)))
    return np.clip(found - even, 0, None) / (most - even)


def blended(
    before: Sequence[float] | None, now: Sequence[float] | None, share: float
) -> np.ndarray | None:
    """Weights at a share of the way from one step's to the next one's; None if neither has any."""
    if before is None and now is None:
        return None
    old, new = (None if w is None else np.asarray(w, float) for w in (before, now))
    if old is None or new is None:
        weights, part = (new, share) if old is None else (old, 1 - share)
        assert weights is not None
        return part * weights
    return (1 - share) * old + share * new

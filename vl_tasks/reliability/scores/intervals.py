"""Bootstrap intervals of reliability scores over images.

The questions about an image are resampled together, because they are not independent.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from clipnav.training.streams import Stream
from clipnav.vl_tasks.reliability.scores.answers import ScoredAnswers

Ends = tuple[float, float]
_TAIL = (1 - 0.95) / 2


def reliability_intervals(
    scored: ScoredAnswers,
    risks: Sequence[float],
    thresholds: Mapping[float, float],
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Ends]:
    """Return percentile intervals of 95 %, in percent, by the names of `report.model_report`."""
    draws: dict[str, list[float]] = {}
    for values in _resampled(scored, risks, thresholds, resamples, seed):
        for name, value in values.items():
            draws.setdefault(name, []).append(value)
    return {
        name: tuple(np.quantile(values, [_TAIL, 1 - _TAIL]).tolist())
        for name, values in draws.items()
    }


def _resampled(
    scored: ScoredAnswers,
    risks: Sequence[float],
    thresholds: Mapping[float, float],
    resamples: int,
    seed: int,
) -> Iterator[dict[str, float]]:
    """Yield the scores of each resample."""
    answers = scored.answers
    # Decreasing confidence; ties with decreasing accuracy, as in the official programme.
    order = np.lexsort((-answers.accuracy, -answers.confidence))
    accuracy, level = answers.accuracy[order], answers.confidence[order]
    tie = np.concatenate([[0], np.cumsum(level[1:] != level[:-1])])
    image = np.unique(scored.images[order], return_inverse=True)[1]
    gains = {
        cost: np.where(level >= threshold, np.where(accuracy == 0, -cost, accuracy), 0)
        for cost, threshold in thresholds.items()
    }
    rng = Stream.RELIABILITY_INTERVALS.rng(seed)
    images = int(image.max()) + 1
    for _ in range(resamples):
        times = np.bincount(rng.integers(images, size=images), minlength=images)[image]
        rows = np.repeat(np.arange(len(order)), times)
        values = _curve_scores(accuracy[rows], tie[rows], risks)
        for cost, gain in gains.items():
            values[f"Phi_{cost:g}"] = 100 * float(gain[rows].mean())
        yield values


def _curve_scores(
    accuracy: np.ndarray, tie: np.ndarray, risks: Sequence[float]
) -> dict[str, float]:
    """Return the scores, in percent, of answers by decreasing confidence.

    Args:
        accuracy: (N,).
        tie: (N,) numbers of the groups of equal confidence.
    """
    count = len(accuracy)
    curve = np.cumsum(1 - accuracy) / np.arange(1, count + 1)
    sizes = np.bincount(tie)
    mean = np.bincount(tie, accuracy) / np.maximum(sizes, 1)
    averaged = np.cumsum(1 - mean[tie]) / np.arange(1, count + 1)
    ends = np.flatnonzero(np.append(tie[1:] != tie[:-1], True))
    values = {
        "accuracy": 100 * float(accuracy.mean()),
        "AUC": _area(averaged),
        "AUC (official)": _area(curve),
    }
    for risk in risks:
        within = ends[curve[ends] <= risk]
        values[f"C@{100 * risk:g}%"] = 100 * (int(within[-1]) + 1) / count if len(within) else 0.0
    return values


def _area(curve: np.ndarray) -> float:
    return 100 * float((curve[1:] + curve[:-1]).sum()) / 2 / len(curve)

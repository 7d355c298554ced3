"""Scores as reliable_vqa computes them during training (`modules/metrics.py`, d9586af).

They differ from its evaluation script, which `clipnav.vl_tasks.reliability.scores.metrics`
follows: the risk must be below the tolerated one; answers are given above a threshold, not at it;
questions with equal confidence keep their order; nothing is rounded. Shares are 0..1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clipnav.vl_tasks.reliability.scores.metrics import COSTS, RISKS, Answers, curve_area


@dataclass(frozen=True)
class RiskScores:
    """Area under the risk-coverage curve, and coverage and threshold by tolerated risk.

    Attributes:
        auc: Area; None for a single question.
        coverage: Coverage 0..1 by tolerated risk.
        threshold: Threshold by tolerated risk; 0 if no question can be answered.
    """

    auc: float | None
    coverage: Mapping[float, float]
    threshold: Mapping[float, float]


@dataclass(frozen=True)
class Selected:
    """Scores of the answers above a threshold.

    Attributes:
        coverage: Share of questions that are answered.
        risk: Mean risk of the answers; None if no question is answered.
        phi: Effective reliability; None without a cost.
    """

    coverage: float
    risk: float | None
    phi: float | None = None


def risk_scores(answers: Answers, risks: Sequence[float] = RISKS, best: bool = False) -> RiskScores:
    """Score answers in order of decreasing confidence, or of decreasing accuracy if `best`."""
    ordered = answers.sorted_by(answers.accuracy if best else answers.confidence)
    count = len(ordered.accuracy)
    # The order of operations is fixed because the risk is compared to the last bit.
    curve = 1 - np.cumsum(ordered.accuracy) / np.arange(1, count + 1)
    last = {risk: _last_answered(ordered.confidence, curve, risk) for risk in risks}
    return RiskScores(
        auc=None if count < 2 else curve_area(curve),
        coverage={risk: (k + 1) / count for risk, k in last.items()},
        threshold={r: float(ordered.confidence[k]) if k >= 0 else 0.0 for r, k in last.items()},
    )


def _last_answered(confidence: np.ndarray, curve: np.ndarray, risk: float) -> int:
    """Return the last position whose mean risk is below a risk and that is not tied; else -1."""
    within = np.flatnonzero(curve < risk)
    last = int(within[-1]) if len(within) else -1
    if -1 < last < len(curve) - 1 and confidence[last] == confidence[last + 1]:
        while last > -1 and (confidence[last] == confidence[last + 1] or curve[last] >= risk):
            last -= 1
    return last


def cost_threshold(answers: Answers, cost: float) -> float:
    """Return the first confidence above which the total gain is largest."""
    ordered = answers.by_confidence()
    gain = _gain(ordered.accuracy, cost)
    # Sums of the gains before each answer, in this order: the last bit decides between equal ones.
    above = np.concatenate([[0.0], np.cumsum(gain)[:-1]])
    return float(ordered.confidence[np.argmax(above)])


def select_above(answers: Answers, threshold: float, cost: float = COSTS[0]) -> Selected:
    """Score the answers whose confidence is above a threshold."""
    return _score(answers, answers.confidence > threshold, cost)


def select_best(answers: Answers) -> Selected:
    """Score the best possible selection, which answers whatever is not wrong, at any cost."""
    return _score(answers, answers.accuracy > 0, COSTS[0])


def gain_without_abstention(answers: Answers, cost: float) -> float:
    """Return the effective reliability if every question is answered."""
    return float(_gain(answers.accuracy, cost).mean())


def _score(answers: Answers, answered: np.ndarray, cost: float) -> Selected:
    """Score the answers (N,) that are given."""
    number, count = int(answered.sum()), len(answers.accuracy)
    risk = float(1 - answers.accuracy[answered].mean()) if number else None
    gain = _gain(answers.accuracy, cost)
    return Selected(number / count, risk, float(gain[answered].sum() / count))


def _gain(accuracy: np.ndarray, cost: float) -> np.ndarray:
    return np.where(accuracy == 0, -cost, accuracy)

"""Selective prediction: risk-coverage metrics and effective reliability.

Computed as in `eval_scripts/reliable_vqa_eval.py` of facebookresearch/reliable_vqa (d9586af),
including its documented oddities. Questions are answered in order of decreasing confidence.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from clipnav.storage.errors import UserError

RISKS = (0.01, 0.05, 0.1, 0.2)
COSTS = (1, 10, 100)
DECIMALS = 2
# Converts shares to rounded percentages.
Percent = Callable[[np.ndarray | float], np.ndarray]


@dataclass(frozen=True)
class Coverage:
    """Coverage at a tolerated risk: the share of questions that can be answered.

    Attributes:
        coverage: Share in percent.
        threshold: Lowest confidence that is answered; None if no question can be answered. The
            official programme returns 0.0 then, which would mean to answer all questions.
    """

    coverage: float
    threshold: float | None


@dataclass(frozen=True)
class Effective:
    """Effective reliability: a wrong answer has a cost, a correct one counts, abstention is free.

    Attributes:
        threshold: Lowest confidence that is answered, chosen on other questions. At least one of
            those is answered, even if abstaining from all would be better.
        phi: Effective reliability in percent.
        coverage: Percentage of answered questions.
        risk: Risk in percent; 100 if no question is answered.
        phi_without_abstention: Effective reliability in percent if every question is answered.
    """

    threshold: float
    phi: float
    coverage: float
    risk: float
    phi_without_abstention: float


@dataclass(frozen=True)
class BestEffective:
    """Effective reliability with an oracle that abstains from wrong answers; in percent."""

    phi: float
    coverage: float
    risk: float


@dataclass(frozen=True)
class Reliability:
    """Scores of a split; all percentages are rounded.

    Attributes:
        accuracy: Mean accuracy.
        auc: Area under the risk-coverage curve, lower is better; None for a single question. Ties
            in confidence are sorted by accuracy, as in the official programme.
        auc_of_ties_averaged: The same with the mean accuracy of ties.
        best_auc: The same with an oracle ranking.
        coverage: Coverage by tolerated risk 0..1.
        best_coverage: Coverage by tolerated risk with an oracle ranking.
        effective: Effective reliability by cost of a wrong answer.
        best_effective: Effective reliability with an oracle by cost of a wrong answer.
    """

    accuracy: float
    auc: float | None
    auc_of_ties_averaged: float | None
    best_auc: float | None
    coverage: Mapping[float, Coverage]
    best_coverage: Mapping[float, Coverage]
    effective: Mapping[float, Effective]
    best_effective: Mapping[float, BestEffective]


@dataclass(frozen=True, eq=False)
class Answers:
    """Accuracy and confidence of N answers, in any order.

    Attributes:
        accuracy: (N,) 0..1.
        confidence: (N,) any finite numbers.
    """

    accuracy: np.ndarray
    confidence: np.ndarray

    def __post_init__(self) -> None:
        shapes = np.shape(self.accuracy), np.shape(self.confidence)
        if shapes[0] != shapes[1] or len(shapes[0]) != 1 or shapes[0][0] == 0:
            raise UserError(
                f"accuracy and confidence have shapes {shapes[0]} and {shapes[1]}; both must be "
                "(N,) with N > 0"
            )
        if not np.isfinite(self.confidence).all():
            raise UserError(f"confidence {np.argmin(np.isfinite(self.confidence))} is not finite")

    def sorted_by(self, key: np.ndarray) -> "Answers":
        """Return the answers by decreasing keys (N,); equal keys keep their order."""
        order = np.argsort(-key, kind="stable")
        return Answers(self.accuracy[order], self.confidence[order])

    def by_confidence(self) -> "Answers":
        """Return the answers by decreasing confidence; ties keep their order."""
        return self.sorted_by(self.confidence)


def reliability(
    answers: Answers,
    chosen_on: Answers,
    risks: Sequence[float] = RISKS,
    costs: Sequence[float] = COSTS,
    decimals: int = DECIMALS,
) -> Reliability:
    """Score the answers to a split.

    Args:
        decimals: Decimals of percentages, including the accuracy of each question before effective
            reliability is computed; 2 in the official programme.
    """
    percent = partial(_percent, decimals)
    best = answers.sorted_by(percent(answers.accuracy))
    ordered = best.by_confidence()
    return Reliability(
        accuracy=float(percent(np.cumsum(answers.accuracy)[-1] / len(answers.accuracy))),
        auc=_auc(risk_curve(ordered), percent),
        auc_of_ties_averaged=_auc(risk_curve(_ties_averaged(ordered)), percent),
        best_auc=_auc(risk_curve(best), percent),
        coverage={risk: coverage_at(ordered, risk, percent) for risk in risks},
        best_coverage={risk: coverage_at(best, risk, percent) for risk in risks},
        effective={
            cost: _effective(ordered, threshold_at(chosen_on, cost, decimals), cost, percent)
            for cost in costs
        },
        best_effective={cost: _best_effective(answers, percent) for cost in costs},
    )


def risk_curve(ordered: Answers) -> np.ndarray:
    """Return the mean risk 0..1 of the first 1, 2, ... N answers, (N,)."""
    return np.cumsum(1 - ordered.accuracy) / np.arange(1, len(ordered.accuracy) + 1)


def ties_averaged_auc(answers: Answers) -> float:
    """Return the area 0..1 under the risk-coverage curve, with the mean accuracy of ties.

    The area of a single answer is its risk.
    """
    curve = risk_curve(_ties_averaged(answers.by_confidence()))
    return float(curve[0]) if len(curve) < 2 else curve_area(curve)


def curve_area(curve: np.ndarray) -> float:
    """Return the area 0..1 under a risk-coverage curve (N,), which starts at coverage 1 / N."""
    return float((curve[1:] + curve[:-1]).sum()) / 2 / len(curve)


def coverage_at(ordered: Answers, risk: float, percent: Percent | None = None) -> Coverage:
    """Return the largest coverage with a tolerated mean risk; ties stay together."""
    curve, confidence = risk_curve(ordered), ordered.confidence
    last = _last_answered(confidence, curve <= risk)
    if last == -1:
        return Coverage(0.0, None)
    share = (last + 1) / len(curve)
    return Coverage(float(percent(share)) if percent else 100 * share, float(confidence[last]))


def _last_answered(confidence: np.ndarray, within: np.ndarray) -> int:
    """Return the last position that is within the tolerated risk and not tied to the next; or -1.

    Args:
        within: (N,) bool.
    """
    inside = np.flatnonzero(within)
    last = int(inside[-1]) if len(inside) else -1
    if -1 < last < len(within) - 1 and confidence[last] == confidence[last + 1]:
        while last > -1 and (confidence[last] == confidence[last + 1] or not within[last]):
            last -= 1
    return last


def threshold_at(answers: Answers, cost: float, decimals: int = DECIMALS) -> float:
    """Return the confidence threshold with the largest total gain, the lowest one of ties."""
    ordered = answers.by_confidence()
    accuracy = _percent(decimals, ordered.accuracy) / 100
    # The order of summation is fixed because ties are compared to the last bit.
    total = np.cumsum(np.where(accuracy == 0, -cost, accuracy))
    best = np.flatnonzero(total == total.max())[-1]
    return float(ordered.confidence[best])


def _percent(decimals: int, share: np.ndarray | float) -> np.ndarray:
    """Return the percentages of shares, rounded with Python's round."""
    # Not np.round, which scales first and rounds 100 x 0.285 differently.
    flat = [round(100.0 * value, decimals) for value in np.ravel(share).tolist()]
    return np.array(flat).reshape(np.shape(share))


def _auc(curve: np.ndarray, percent: Percent) -> float | None:
    return None if len(curve) < 2 else float(percent(curve_area(curve)))


def _ties_averaged(ordered: Answers) -> Answers:
    """Replace each accuracy by the mean accuracy of the answers with the same confidence."""
    _, group = np.unique(ordered.confidence, return_inverse=True)
    mean = np.bincount(group, ordered.accuracy) / np.bincount(group)
    return Answers(mean[group], ordered.confidence)


def _effective(answers: Answers, threshold: float, cost: float, percent: Percent) -> Effective:
    accuracy = percent(answers.accuracy) / 100
    gain = np.where(accuracy == 0, -cost, accuracy)
    answered = answers.confidence >= threshold
    count, number = len(accuracy), int(answered.sum())
    return Effective(
        threshold=threshold,
        phi=float(percent(float(gain[answered].sum()) / count)),
        coverage=float(percent(number / count)),
        risk=float(percent(1 - float(accuracy[answered].sum()) / max(number, 1))),
        phi_without_abstention=float(percent(float(gain.sum()) / count)),
    )


def _best_effective(answers: Answers, percent: Percent) -> BestEffective:
    accuracy = percent(answers.accuracy) / 100
    total, number = float(accuracy.sum()), int((accuracy > 0).sum())
    return BestEffective(
        phi=float(percent(total / len(accuracy))),
        coverage=float(percent(number / len(accuracy))),
        risk=float(percent(1 - total / max(number, 1))),
    )


# Scores as reliable_vqa computes them during training (`modules/metrics.py`). They differ from
# those above: the risk must be below the tolerated one; answers are given above a threshold, not at
# it; questions with equal confidence keep their order; nothing is rounded. Shares are 0..1.


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
    last = {risk: _last_answered(ordered.confidence, curve < risk) for risk in risks}
    return RiskScores(
        auc=None if count < 2 else curve_area(curve),
        coverage={risk: (k + 1) / count for risk, k in last.items()},
        threshold={r: float(ordered.confidence[k]) if k >= 0 else 0.0 for r, k in last.items()},
    )


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

"""How well a model knows when to keep silent: risk and coverage, and reliability under a penalty.

As `eval_scripts/reliable_vqa_eval.py` of facebookresearch/reliable_vqa (d9586af) computes it; odd
details are kept and named. Answers are given in the order of their confidence, the surest first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RISKS = (0.01, 0.05, 0.1, 0.2)
COSTS = (1, 10, 100)
DECIMALS = 2


@dataclass(frozen=True)
class Coverage:
    """The share of questions that can be answered within a risk.

    Attributes:
        coverage: Percent.
        threshold: Least confidence to answer with; None where no question can be answered. The
            official programme says 0.0 then, which would mean to answer all of them.
    """

    coverage: float
    threshold: float | None


@dataclass(frozen=True)
class Effective:
    """Effective reliability: a wrong answer costs, a right one counts, silence is free.

    Attributes:
        threshold: Least confidence to answer with, chosen on other questions. It never means to
            answer none, even where that is best.
        phi: Percent.
        coverage: Percent of the questions answered.
        risk: Percent; of no answer it is 100.
        phi_without_abstention: Percent, if every question is answered.
    """

    threshold: float
    phi: float
    coverage: float
    risk: float
    phi_without_abstention: float


@dataclass(frozen=True)
class BestEffective:
    """Effective reliability of a model that knows which of its answers are wrong; percent."""

    phi: float
    coverage: float
    risk: float


@dataclass(frozen=True)
class Reliability:
    """Scores of a split; all percents are rounded.

    Attributes:
        accuracy: Mean accuracy.
        auc: Area under risk over coverage, lower is better; None for a single question. Equal
            confidences count in the most favourable order, as the official programme has it.
        auc_of_ties_averaged: The same, equal confidences in random order.
        best_auc: The same of the best order.
        coverage: By tolerated risk 0..1.
        best_coverage: The same in the best order.
        effective: By cost.
        best_effective: By cost.
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
            raise ValueError(f"accuracies and confidences of shapes {shapes[0]} and {shapes[1]}")
        if not np.isfinite(self.confidence).all():
            raise ValueError(f"confidence {np.argmin(np.isfinite(self.confidence))} is not finite")

    def take(self, order: np.ndarray) -> "Answers":
        """The answers in another order."""
        return Answers(self.accuracy[order], self.confidence[order])


def reliability(
    answers: Answers,
    chosen_on: Answers,
    risks: Sequence[float] = RISKS,
    costs: Sequence[float] = COSTS,
    decimals: int = DECIMALS,
) -> Reliability:
    """Score the answers to a split.

    Args:
        answers: Of the split.
        chosen_on: Answers to other questions, on which the thresholds of effective reliability are
            chosen.
        risks: Tolerated risks 0..1.
        costs: Of a wrong answer.
        decimals: Of percents, also of each question's accuracy before effective reliability is
            computed; the official programme has 2.
    """
    percent = _Percent(decimals)
    rounded = percent(answers.accuracy)
    best = answers.take(np.argsort(-rounded, kind="stable"))
    ordered = best.take(np.argsort(-best.confidence, kind="stable"))
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
    """(N,) mean risk 0..1 of the first 1, 2, ... N answers."""
    return np.cumsum(1 - ordered.accuracy) / np.arange(1, len(ordered.accuracy) + 1)


def coverage_at(ordered: Answers, risk: float, percent: "_Percent | None" = None) -> Coverage:
    """Most answers whose mean risk is tolerated, where equal confidences stand or fall together.

    Args:
        ordered: The surest first.
        risk: 0..1.
        percent: How percents are rounded; not at all if None.
    """
    curve, confidence = risk_curve(ordered), ordered.confidence
    count = len(curve)
    within = np.flatnonzero(curve <= risk)
    last = int(within[-1]) if len(within) else -1
    if -1 < last < count - 1 and confidence[last] == confidence[last + 1]:
        while last > -1 and (confidence[last] == confidence[last + 1] or curve[last] > risk):
            last -= 1
    if last == -1:
        return Coverage(0.0, None)
    share = (last + 1) / count
    return Coverage(float(percent(share)) if percent else 100 * share, float(confidence[last]))


def threshold_at(answers: Answers, cost: float, decimals: int = DECIMALS) -> float:
    """Confidence from which on it pays to answer: the lowest of those with the largest sum."""
    order = np.argsort(-answers.confidence, kind="stable")
    accuracy = _Percent(decimals)(answers.accuracy[order]) / 100
    # Sums in order, for whether two of them are equal is decided to the last bit.
    total = np.cumsum(np.where(accuracy == 0, -cost, accuracy))
    best = np.flatnonzero(total == total.max())[-1]
    return float(answers.confidence[order][best])


class _Percent:
    """Percents of shares, rounded as Python rounds."""

    def __init__(self, decimals: int) -> None:
        self._decimals = decimals

    def __call__(self, share: np.ndarray | float) -> np.ndarray:
        # Not np.round, which scales and so rounds 100 x 0.285 otherwise than round does.
        flat = [round(100.0 * one, self._decimals) for one in np.ravel(share).tolist()]
        return np.array(flat).reshape(np.shape(share))


def _auc(curve: np.ndarray, percent: _Percent) -> float | None:
    """Area under risk over coverage, which begins at 1 / N."""
    if len(curve) < 2:
        return None
    return float(percent(float((curve[1:] + curve[:-1]).sum()) / 2 / len(curve)))


def _ties_averaged(ordered: Answers) -> Answers:
    """Each accuracy replaced by the mean of those with the same confidence."""
    _, group = np.unique(ordered.confidence, return_inverse=True)
    mean = np.bincount(group, ordered.accuracy) / np.bincount(group)
    return Answers(mean[group], ordered.confidence)


def _effective(answers: Answers, threshold: float, cost: float, percent: _Percent) -> Effective:
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


def _best_effective(answers: Answers, percent: _Percent) -> BestEffective:
    accuracy = percent(answers.accuracy) / 100
    total, number = float(accuracy.sum()), int((accuracy > 0).sum())
    return BestEffective(
        phi=float(percent(total / len(accuracy))),
        coverage=float(percent(number / len(accuracy))),
        risk=float(percent(1 - total / max(number, 1))),
    )

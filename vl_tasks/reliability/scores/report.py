"""Report of the reliability of models: all scores by name, and tables.

Bootstrap intervals resample the questions about an image together; they are not independent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.storage.errors import UserError
from clipnav.training.streams import Stream
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.reliability.scores.metrics import (
    COSTS,
    RISKS,
    Answers,
    cost_threshold,
    coverage_at,
    curve_area,
    gain_without_abstention,
    reliability,
    risk_curve,
    risk_scores,
    select_above,
    select_best,
)
from clipnav.vl_tasks.text.normalising import Variant
from clipnav.vl_tasks.vqa.accuracy import vqa_accuracy
from clipnav.vl_tasks.vqa.submissions import read_sure_submission

Ends = tuple[float, float]
_TAIL = (1 - 0.95) / 2
# Values by name; those with an interval are {"value", "low", "high"}.
Report = dict[str, Any]
_TABLE = ("accuracy", "AUC", "AUC (official)", *(f"C@{100 * risk:g}%" for risk in RISKS))
_EFFECTIVE = tuple(f"Phi_{cost:g}" for cost in COSTS)


@dataclass(frozen=True, eq=False)
class ScoredAnswers:
    """Answers to N questions with the image of each.

    Attributes:
        answers: Accuracy and confidence.
        images: (N,) numbers of the images.
    """

    answers: Answers
    images: np.ndarray


def score_predictions_file(
    path: Path, questions: Sequence[Question], variant: Variant
) -> ScoredAnswers:
    """Score a predictions file [{"question_id", "answer", "confidence"}]."""
    return score_answers(read_sure_submission(path, questions), questions, variant)


def score_answers(
    predictions: Mapping[int, tuple[str, float]], questions: Sequence[Question], variant: Variant
) -> ScoredAnswers:
    """Score answers with their confidence by question id."""
    given = [predictions[question.question_id] for question in questions]
    accuracy = [
        vqa_accuracy(answer, question.answers, variant)
        for (answer, _), question in zip(given, questions, strict=True)
    ]
    images = np.unique([question.image_id for question in questions], return_inverse=True)[1]
    confidence = np.array([confidence for _, confidence in given], float)
    return ScoredAnswers(Answers(np.array(accuracy), confidence), images)


def mixture(
    usual: ScoredAnswers, shifted: ScoredAnswers, share: float, seed: int = 0
) -> ScoredAnswers:
    """Mix answers to usual questions with answers to shifted ones, whose images are others.

    As many questions as possible are drawn at random without replacement; equal numbers and seeds
    give the same questions for every model.
    """
    available = len(usual.images), len(shifted.images)
    total = available[1] / share
    if share < 1:
        total = min(total, available[0] / (1 - share))
    count = round(total * share)
    if not count:
        raise UserError(
            f"a share of {share:g} of {round(total)} questions is less than one shifted question; "
            "choose a larger --shift.share"
        )
    rng = Stream.SHIFTED_ANSWERS.rng(seed)
    rows = [
        np.sort(rng.permutation(len(part.images))[:number])
        for part, number in ((usual, round(total) - count), (shifted, count))
    ]
    accuracy, confidence, images = (
        np.concatenate([first[rows[0]], second[rows[1]]])
        for first, second in (
            (usual.answers.accuracy, shifted.answers.accuracy),
            (usual.answers.confidence, shifted.answers.confidence),
            (usual.images, shifted.images + 1 + int(usual.images.max())),
        )
    )
    return ScoredAnswers(Answers(accuracy, confidence), images)


def reliability_intervals(
    scored: ScoredAnswers,
    risks: Sequence[float],
    thresholds: Mapping[float, float],
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Ends]:
    """Return percentile intervals of 95 %, in percent, by the names of `report.model_report`."""
    draws: dict[str, list[float]] = {}
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
        for name, value in values.items():
            draws.setdefault(name, []).append(value)
    return {
        name: tuple(np.quantile(values, [_TAIL, 1 - _TAIL]).tolist())
        for name, values in draws.items()
    }


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
        "AUC": 100 * curve_area(averaged),
        "AUC (official)": 100 * curve_area(curve),
    }
    for risk in risks:
        within = ends[curve[ends] <= risk]
        values[f"C@{100 * risk:g}%"] = 100 * (int(within[-1]) + 1) / count if len(within) else 0.0
    return values


@dataclass(frozen=True)
class ModelAnswers:
    """Answers of a model.

    Attributes:
        name: Name of the model.
        val: Answers to the questions on which thresholds are chosen.
        test: Answers to the questions that are reported.
    """

    name: str
    val: ScoredAnswers
    test: ScoredAnswers


def model_report(model: ModelAnswers, resamples: int = 1000, seed: int = 0) -> Report:
    """Compute the scores of a model in percent."""
    test, val = model.test.answers, model.val.answers
    scores = reliability(test, val)
    report: Report = {
        "questions": len(test.accuracy),
        "accuracy": scores.accuracy,
        "AUC": scores.auc_of_ties_averaged,
        "AUC (official)": scores.auc,
        "best AUC": scores.best_auc,
    }
    for risk, found in scores.coverage.items():
        percent = f"{100 * risk:g}%"
        report[f"C@{percent}"] = found.coverage
        report[f"best C@{percent}"] = scores.best_coverage[risk].coverage
        report[f"with the threshold of val at {percent}"] = _with_threshold_of_val(model, risk)
    for cost, found in scores.effective.items():
        report[f"Phi_{cost:g}"] = found.phi
        report[f"best Phi_{cost:g}"] = scores.best_effective[cost].phi
        report[f"Phi_{cost:g} without abstention"] = found.phi_without_abstention
        report[f"threshold of Phi_{cost:g}"] = found.threshold
    if resamples:
        thresholds = {cost: found.threshold for cost, found in scores.effective.items()}
        ends = reliability_intervals(model.test, RISKS, thresholds, resamples, seed)
        for name, (low, high) in ends.items():
            if report[name] is None:  # the area of a single question
                continue
            report[name] = {"value": report[name], "low": low, "high": high}
    return report | {"mmf": _mmf_report(model)}


def curve_points(scored: ScoredAnswers) -> tuple[np.ndarray, np.ndarray]:
    """Return coverage and risk in percent where a threshold can separate answers."""
    ordered = scored.answers.by_confidence()
    level = ordered.confidence
    ends = np.flatnonzero(np.append(level[1:] != level[:-1], True))
    return 100 * (ends + 1) / len(level), 100 * risk_curve(ordered)[ends]


def table_rows(reports: Mapping[str, Report]) -> list[list[str]]:
    """Return the rows of a table of the main scores with intervals, and of the best values."""
    rows = [["", *_TABLE]]
    for name, report in reports.items():
        rows.append([name, *(_cell(report[column]) for column in _TABLE)])
        best = [report.get(f"best {column.removesuffix(' (official)')}") for column in _TABLE]
        rows.append(["  best possible", *("" if one is None else _cell(one) for one in best)])
    return rows


def effective_rows(reports: Mapping[str, Report]) -> list[list[str]]:
    """Return the rows of a table of effective reliability by cost of a wrong answer."""
    header = [["", *_EFFECTIVE]]
    for name, report in reports.items():
        header.append([name, *(_cell(report[column]) for column in _EFFECTIVE)])
        best = [_cell(report[f"best {column}"]) for column in _EFFECTIVE]
        header.append(["  best possible", *best])
        always = [_cell(report[f"{column} without abstention"]) for column in _EFFECTIVE]
        header.append(["  without abstention", *always])
    return header


def _with_threshold_of_val(model: ModelAnswers, risk: float) -> dict[str, float | None]:
    """Return coverage and risk, in percent, with the threshold that val gives for a risk."""
    val, test = model.val.answers, model.test.answers
    threshold = coverage_at(val.by_confidence(), risk).threshold
    if threshold is None:
        return {"threshold": None, "coverage": 0.0, "risk": None}
    answered = test.confidence >= threshold
    reached = 100 * float(1 - test.accuracy[answered].mean()) if answered.any() else None
    return {"threshold": threshold, "coverage": 100 * float(answered.mean()), "risk": reached}


def _mmf_report(model: ModelAnswers) -> Report:
    """Return the scores as published trainings compute them, in shares 0..1."""
    test, val = model.test.answers, model.val.answers
    scores, best = risk_scores(test), risk_scores(test, best=True)
    report: Report = {"auc": scores.auc, "best_auc": best.auc}
    for risk, threshold in risk_scores(val).threshold.items():
        selected = select_above(test, threshold)
        report |= {
            f"cov@{risk}": scores.coverage[risk],
            f"best_cov@{risk}": best.coverage[risk],
            f"cov_precomputed_threshold@{risk}": selected.coverage,
            f"risk_precomputed_threshold@{risk}": selected.risk,
        }
    oracle = select_best(test)
    for cost in COSTS:
        threshold = cost_threshold(val, cost)
        selected = select_above(test, threshold, cost)
        report |= {
            f"phi_c@{cost}": selected.phi,
            f"cov_phi_c@{cost}": selected.coverage,
            f"risk_phi_c@{cost}": selected.risk,
            f"best_phi_c@{cost}": oracle.phi,
            f"best_cov_phi_c@{cost}": oracle.coverage,
            f"best_risk_phi_c@{cost}": oracle.risk,
            f"no_abstention_phi_c@{cost}": gain_without_abstention(test, cost),
        }
    return report


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"
    return "-" if value is None else f"{value:.2f}"

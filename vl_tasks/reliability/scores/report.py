"""Report of the reliability of models: all scores by name, and tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clipnav.vl_tasks.reliability.scores import mmf_metrics
from clipnav.vl_tasks.reliability.scores.answers import ScoredAnswers
from clipnav.vl_tasks.reliability.scores.intervals import reliability_intervals
from clipnav.vl_tasks.reliability.scores.metrics import (
    COSTS,
    RISKS,
    coverage_at,
    reliability,
    risk_curve,
)

# Values by name; those with an interval are {"value", "low", "high"}.
Report = dict[str, Any]
_TABLE = ("accuracy", "AUC", "AUC (official)", *(f"C@{100 * risk:g}%" for risk in RISKS))
_EFFECTIVE = tuple(f"Phi_{cost:g}" for cost in COSTS)


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
    scores, best = mmf_metrics.risk_scores(test), mmf_metrics.risk_scores(test, best=True)
    report: Report = {"auc": scores.auc, "best_auc": best.auc}
    for risk, threshold in mmf_metrics.risk_scores(val).threshold.items():
        selected = mmf_metrics.select_above(test, threshold)
        report |= {
            f"cov@{risk}": scores.coverage[risk],
            f"best_cov@{risk}": best.coverage[risk],
            f"cov_precomputed_threshold@{risk}": selected.coverage,
            f"risk_precomputed_threshold@{risk}": selected.risk,
        }
    oracle = mmf_metrics.select_best(test)
    for cost in COSTS:
        threshold = mmf_metrics.cost_threshold(val, cost)
        selected = mmf_metrics.select_above(test, threshold, cost)
        report |= {
            f"phi_c@{cost}": selected.phi,
            f"cov_phi_c@{cost}": selected.coverage,
            f"risk_phi_c@{cost}": selected.risk,
            f"best_phi_c@{cost}": oracle.phi,
            f"best_cov_phi_c@{cost}": oracle.coverage,
            f"best_risk_phi_c@{cost}": oracle.risk,
            f"no_abstention_phi_c@{cost}": mmf_metrics.gain_without_abstention(test, cost),
        }
    return report


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"
    return "-" if value is None else f"{value:.2f}"

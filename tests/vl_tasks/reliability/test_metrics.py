import gzip
import json

import numpy as np
import pytest

from clipnav.vl_tasks.reliability.scores.metrics import (
    Answers,
    BestEffective,
    Coverage,
    Effective,
    coverage_at,
    reliability,
    threshold_at,
)


@pytest.fixture(scope="module")
def golden(shared):
    path = shared / "golden" / "reliability.json.gz"
    return json.loads(gzip.decompress(path.read_bytes()))["sets"]


def _answers(case):
    return Answers(np.array(case["accuracy"], float), np.array(case["confidence"], float))


def _official(scores):
    """Our scores under the names of the official programme."""
    found = {"vqa_accuracy": scores.accuracy, "auc": scores.auc, "best_auc": scores.best_auc}
    for prefix, coverages in (("", scores.coverage), ("best_", scores.best_coverage)):
        for risk, one in coverages.items():
            threshold = 0.0 if one.threshold is None else one.threshold
            found[f"{prefix}cov@{risk}"] = {"coverage": one.coverage, "threshold": threshold}
    for cost, one in scores.effective.items():
        found[f"phi@{cost}"] = {
            "threshold": one.threshold,
            "phi": one.phi,
            "coverage": one.coverage,
            "risk": one.risk,
            "no_abstention_phi": one.phi_without_abstention,
        }
    for cost, one in scores.best_effective.items():
        found[f"best_phi@{cost}"] = vars(one)
    return found


@pytest.mark.parametrize(("output", "decimals"), [("output", 2), ("output_n15", 15)])
def test_the_official_programme_agrees(golden, output, decimals):
    assert golden
    for case in golden.values():
        scores = reliability(
            _answers(case["test"]), _answers(case["threshold_set"]), decimals=decimals
        )
        expected = {
            name: value
            for name, value in case[output].items()
            if name not in ("auc_error", "cost_thresholds")
        }
        found = _official(scores)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name] == (value if value is None else pytest.approx(value, abs=1e-9))
        for cost, threshold in case[output]["cost_thresholds"].items():
            assert scores.effective[int(cost)].threshold == threshold


def test_scores_by_hand():
    answers = Answers(np.array([1.0, 0.0, 0.6]), np.array([0.9, 0.8, 0.3]))
    chosen_on = Answers(np.array([1.0, 0.0]), np.array([0.7, 0.2]))  # it pays from 0.7 on
    scores = reliability(answers, chosen_on, risks=(0.25, 0.5), costs=(1, 10))
    assert scores.accuracy == 53.33
    # Mean risks are 0, 1/2 and 1.4/3; 0, 0.4/2 and 1.4/3 in the best order.
    assert scores.auc == 24.44
    assert scores.best_auc == 14.44
    assert scores.coverage == {0.25: Coverage(33.33, 0.9), 0.5: Coverage(100, 0.3)}
    assert scores.best_coverage == {0.25: Coverage(66.67, 0.3), 0.5: Coverage(100, 0.8)}
    # Two are answered, one of them wrongly: (1 - 1) / 3 and (1 - 10) / 3.
    assert scores.effective == {
        1: Effective(0.7, 0, 66.67, 50, 20),
        10: Effective(0.7, -300, 66.67, 50, -280),
    }
    assert scores.best_effective[10] == BestEffective(53.33, 66.67, 20)


def test_the_official_order_of_equal_confidences_is_the_best_one():
    accuracy, confidence = np.array([0.0, 1.0, 1.0, 0.0]), np.full(4, 0.5)
    scores = reliability(Answers(accuracy, confidence), Answers(accuracy, confidence))
    assert scores.auc == scores.best_auc
    # At every coverage half of the answers are wrong, over coverages 0.25 to 1.
    assert scores.auc_of_ties_averaged == pytest.approx(100 * 0.5 * 0.75)
    assert scores.auc < scores.auc_of_ties_averaged


def test_thresholds_equal_an_exhaustive_search():
    rng = np.random.default_rng(0)
    answers = Answers(rng.choice([0, 0.3, 0.6, 0.9, 1], 300), rng.random(300))
    for cost in (1, 10):
        gains = np.where(answers.accuracy == 0, -cost, answers.accuracy)
        best = max(answers.confidence, key=lambda t: gains[answers.confidence >= t].sum())
        assert threshold_at(answers, cost) == pytest.approx(best)
    none = coverage_at(Answers(np.array([0.0, 1.0]), np.array([0.9, 0.8])), 0.1)
    assert (none.coverage, none.threshold) == (0.0, None)

import gzip
import json

import numpy as np
import pytest

from clipnav.vl_tasks.reliability.scores.metrics import (
    Answers,
    reliability,
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


def test_the_official_order_of_equal_confidences_is_the_best_one():
    accuracy, confidence = np.array([0.0, 1.0, 1.0, 0.0]), np.full(4, 0.5)
    scores = reliability(Answers(accuracy, confidence), Answers(accuracy, confidence))
    assert scores.auc == scores.best_auc
    # At every coverage half of the answers are wrong, over coverages 0.25 to 1.
    assert scores.auc_of_ties_averaged == pytest.approx(100 * 0.5 * 0.75)
    assert scores.auc < scores.auc_of_ties_averaged

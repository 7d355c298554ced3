import numpy as np
import pytest

from clipnav.vl_tasks.reliability.scores.metrics import (
    Answers,
    cost_threshold,
    gain_without_abstention,
    risk_scores,
    select_above,
    select_best,
)


@pytest.fixture
def original(golden_system):
    """Description, and answers of val and test."""
    about, tensors = golden_system("reliable_metrics")

    def answers(split):
        columns = (tensors[f"input.{split}.{name}"] for name in ("accuracy", "confidence"))
        # The original values are Python numbers with few decimals.
        return Answers(*(np.round(column.double().numpy(), 6) for column in columns))

    return about, answers("val"), answers("test")


def _check_risks(expected, answers, risks):
    scores, best = risk_scores(answers, risks), risk_scores(answers, risks, best=True)
    assert scores.auc == pytest.approx(expected["auc"], abs=1e-6)
    for risk in risks:
        assert scores.coverage[risk] == pytest.approx(expected[f"cov@{risk}"], abs=1e-6)
        if f"best_cov@{risk}" in expected:
            assert best.coverage[risk] == pytest.approx(expected[f"best_cov@{risk}"], abs=1e-6)
    if "best_auc" in expected:
        assert best.auc == pytest.approx(expected["best_auc"], abs=1e-6)
    return scores


def test_risks_and_thresholds_are_those_of_the_original(original):
    about, val, test = original
    thresholds = dict(about["thresholds_at_risk"])
    scores = _check_risks(about["val"], val, tuple(thresholds))
    assert scores.threshold == pytest.approx(thresholds)
    expected = about["test with thresholds of val"]
    _check_risks(expected, test, tuple(thresholds))
    for risk, threshold in thresholds.items():
        found = select_above(test, threshold)
        name = f"precomputed_threshold@{risk}"
        assert found.coverage == pytest.approx(expected[f"cov_{name}"], abs=1e-6)
        assert found.risk == pytest.approx(expected[f"risk_{name}"], abs=1e-6)


def test_effective_reliability_is_that_of_the_original(original):
    about, val, test = original
    expected = about["test with thresholds of val"]
    for cost, threshold in about["thresholds_at_costs"]:
        assert cost_threshold(val, cost) == pytest.approx(threshold)
        found = select_above(test, threshold, cost)
        for name, value in (
            ("phi", found.phi),
            ("cov_phi", found.coverage),
            ("risk_phi", found.risk),
        ):
            assert value == pytest.approx(expected[f"{name}_c@{cost:g}"], abs=1e-6)
        always = gain_without_abstention(test, cost)
        assert always == pytest.approx(expected[f"no_abstention_phi_c@{cost:g}"], abs=1e-4)


def test_best_possible_effective_reliability_is_that_of_the_original(original):
    about, val, _ = original
    found, costs = select_best(val), [cost for cost, _ in about["thresholds_at_costs"]]
    for cost in costs:
        for name, value in (
            ("phi", found.phi),
            ("cov_phi", found.coverage),
            ("risk_phi", found.risk),
        ):
            assert value == pytest.approx(about["val"][f"best_{name}_c@{cost:g}"], abs=1e-6)
    assert select_best(Answers(np.zeros(3), np.ones(3))).risk is None


def test_cost_thresholds_follow_sums_in_the_order_of_the_original():
    # 0.3 - 1 + 1 is above 0.3 by one bit, so that the last answer sets the threshold.
    answers = Answers(np.array([1, 0, 1, 0.3]), np.array([0.25, 0.77, 0.76, 0.85]))
    assert cost_threshold(answers, 1) == 0.25
    rng = np.random.default_rng(0)
    for _ in range(300):
        count = int(rng.integers(1, 60))
        accuracy = rng.choice([0, 0.3, 0.6, 0.9, 1], count, p=[0.25, 0.1, 0.1, 0.1, 0.45])
        confidence = np.round(rng.random(count), 2)
        for cost in (1, 10, 100):
            total, best, expected = 0.0, -np.inf, None
            for one in sorted(range(count), key=lambda one: -confidence[one]):
                if total > best:
                    best, expected = total, confidence[one]
                total += accuracy[one] if accuracy[one] else -cost
            assert cost_threshold(Answers(accuracy, confidence), cost) == expected


def test_the_variants_differ_at_the_threshold():
    answers = Answers(np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.9, 0.8, 0.7, 0.6]))
    assert risk_scores(answers, (0.5,)).coverage[0.5] == 0.75  # the risk of all is not below 0.5
    assert cost_threshold(answers, 1) == 0.7  # answers above it are correct
    assert select_above(answers, 0.7).coverage == 0.5
    assert select_above(answers, 0.9).risk is None

import math

import numpy as np
import pytest
from scipy import stats

from clipnav.envs.metrics import seed_difference, seed_interval


def test_the_interval_is_that_of_student():
    # Student 1908 by hand: mean 3, s = sqrt(2.5), 4 degrees of freedom: t = 2.776445.
    half = 2.776445 * math.sqrt(2.5) / math.sqrt(5)
    interval = seed_interval([1, 2, 3, 4, 5])
    assert interval.mean == 3
    assert interval.low == pytest.approx(3 - half, abs=1e-5)
    assert interval.high == pytest.approx(3 + half, abs=1e-5)


def test_the_coverage_equals_the_confidence_level():
    draws = np.random.default_rng(0).normal(0.4, 0.1, (2000, 3))
    intervals = [seed_interval(draw, confidence=0.8) for draw in draws]
    assert np.mean([i.low <= 0.4 <= i.high for i in intervals]) == pytest.approx(0.8, abs=0.03)


def test_a_single_training_has_no_interval():
    mean, low, high = seed_interval([0.25])
    assert mean == 0.25
    assert math.isnan(low)
    assert math.isnan(high)


@pytest.mark.parametrize("values", [[], [0.5, math.nan]])
def test_nothing_and_no_number_are_refused(values):
    with pytest.raises(ValueError, match="at least one value"):
        seed_interval(values)


@pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
def test_impossible_confidence_levels_are_refused(confidence):
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        seed_interval([0.5, 0.6], confidence=confidence)


BUILDINGS = np.repeat(range(10), 20)


def equal_rows(rng, seeds, spread):
    """Return two rows of runs on 200 paths in 10 buildings, which differ in their seeds only."""
    hard = np.repeat(rng.normal(0.5, 0.15, 10), 20) + rng.normal(0, 0.2, 200)
    runs = hard + rng.normal(0, spread, (2, seeds, 1)) + rng.normal(0, 0.1, (2, seeds, 200))
    return (runs > rng.random(200)).astype(float)


@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("spread", [0.02, 0.08])
def test_a_difference_of_equal_rows_covers_zero_about_as_often_as_it_should(seeds, spread):
    rng = np.random.default_rng(1)
    pairs = [equal_rows(rng, seeds, spread) for _ in range(400)]
    found = [seed_difference(first, second, BUILDINGS.tolist()) for first, second in pairs]
    assert 0.92 <= np.mean([one.low <= 0 <= one.high for one in found]) <= 0.99


def test_a_difference_has_the_interval_of_welch_over_seeds():
    # Welch 1938 by hand: runs that are equal on all paths, so that only the seeds vary.
    first, second = (np.outer(means, np.ones(4)) for means in ([0.2, 0.3, 0.4], [0.5, 0.9]))
    variance = 0.01 / 3 + 0.08 / 2
    freedom = variance**2 / ((0.01 / 3) ** 2 / 2 + (0.08 / 2) ** 2)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(variance)
    assert seed_difference(first, second, "aabb") == pytest.approx((0.4, 0.4 - half, 0.4 + half))


def test_a_difference_beside_a_deterministic_row_covers_buildings():
    # One value per building, so that Student's law of the paired gains is exact.
    first, second = np.zeros((1, 4)), np.array([[0.1, 0.3, 0.2, 0.4]] * 2)
    half = stats.t.ppf(0.975, 3) * second[0].std(ddof=1) / 2
    expected = (0.25, 0.25 - half, 0.25 + half)
    assert seed_difference(first, second, "abcd") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("first", "second", "buildings"),
    [
        ([[0.0, 1.0]], [[1.0, 1.0]], "ab"),  # a single run each
        ([[0.0, 1.0], [1.0, 1.0]], [[1.0, 1.0]] * 2, "aa"),  # a single building
        ([[0.0, 1.0]] * 2, [[0.0, 1.0]] * 2, "ab"),  # nothing varies
    ],
)
def test_a_difference_without_a_measured_spread_has_no_interval(first, second, buildings):
    mean, low, high = seed_difference(np.array(first), np.array(second), buildings)
    assert mean == np.mean(second) - np.mean(first)
    assert math.isnan(low)
    assert math.isnan(high)

import math

import numpy as np
import pytest

from envs.metrics import seed_interval


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

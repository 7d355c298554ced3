import math

import numpy as np
import pytest
from scipy import stats

from clipnav.envs.metrics import (
    bootstrap_interval,
    paired_difference,
    paired_gains,
    seed_difference,
    seed_interval,
)


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


def test_interval_of_independent_values_is_that_of_the_normal_law():
    values = np.random.default_rng(0).normal(5, 2, 900)
    interval = bootstrap_interval(values, seed=1)
    half = stats.norm.ppf(0.975) * values.std() / np.sqrt(len(values))
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    narrow = bootstrap_interval(values, seed=1, confidence=0.5)
    assert interval.low < narrow.low < narrow.high < interval.high


def test_copies_of_a_path_do_not_make_it_surer():
    paths = np.random.default_rng(2).random(300) < 0.6
    copies = np.repeat(paths, 3)
    once = bootstrap_interval(paths, seed=4)
    clustered = bootstrap_interval(copies, seed=4, clusters=[f"path {i // 3}" for i in range(900)])
    assert clustered == pytest.approx(once)
    alone = bootstrap_interval(copies, seed=4)
    assert (alone.high - alone.low) * 1.5 < clustered.high - clustered.low


def test_the_coverage_with_few_clusters_equals_the_confidence_level():
    rng = np.random.default_rng(8)
    clusters = np.repeat(range(6), 10).tolist()
    found = [
        bootstrap_interval(
            np.repeat(rng.normal(0, 1, 6), 10) + rng.normal(0, 1, 60),
            clusters=clusters,
            resamples=2000,
        )
        for _ in range(300)
    ]
    assert 0.92 <= np.mean([one.low <= 0 <= one.high for one in found]) <= 0.99


def test_a_single_cluster_has_no_interval():
    interval = bootstrap_interval([0.0, 1.0], clusters="aa")
    assert interval.to_json() == {"mean": 0.5, "low": None, "high": None}


def test_larger_clusters_weigh_more():
    values = [1.0] * 30 + [0.0] * 10
    clusters = [i // 3 for i in range(30)] + list(range(100, 110))
    interval = bootstrap_interval(values, clusters=clusters)
    assert interval.mean == 0.75
    assert interval.low < 0.75 < interval.high
    # Two clusters, drawn twice: both are the larger one, or one of each, or both the smaller one.
    values, clusters = [1.0, 1.0, 1.0, 0.0], "aaab"
    assert bootstrap_interval(values, clusters=clusters) == (0.75, 0.0, 1.0)
    assert bootstrap_interval(values, clusters=clusters, confidence=0.2) == (0.75, 0.75, 0.75)


def test_infinite_values_are_never_equal():
    far = np.inf
    gains = paired_gains([far, far, 1.0], [far, 1.0, far])
    np.testing.assert_array_equal(gains, [np.nan, -far, far])


@pytest.mark.parametrize(
    ("values", "changes", "named"),
    [
        ([], {}, "at least one value"),
        ([1.0, np.inf], {}, "finite"),
        ([1.0, 2.0], {"clusters": ["a"]}, "1 clusters for 2 values"),
        ([1.0], {"confidence": 1.0}, "confidence"),
        ([1.0], {"resamples": 0}, "resamples"),
    ],
)
def test_invalid_arguments_of_the_bootstrap_are_refused(values, changes, named):
    with pytest.raises(ValueError, match=named):
        bootstrap_interval(values, **changes)
    with pytest.raises(ValueError, match="cannot pair 1 values with 2"):
        paired_difference([1.0], [1.0, 2.0])

import numpy as np
import pytest
from scipy import stats

from clipnav.envs.metrics import (
    bootstrap_interval,
    paired_difference,
    paired_gains,
)


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


def test_a_pair_is_surer_than_its_parts():
    rng = np.random.default_rng(6)
    hard = rng.random(400)
    first = (hard + rng.normal(0, 0.05, 400) < 0.50).astype(float)
    second = (hard + rng.normal(0, 0.05, 400) < 0.55).astype(float)
    difference = paired_difference(first, second, seed=2)
    assert difference.mean == pytest.approx(second.mean() - first.mean())
    assert difference.low > 0
    assert bootstrap_interval(first).high > bootstrap_interval(second).low
    back = paired_difference(second, first, seed=2)
    assert back == pytest.approx((-difference.mean, -difference.high, -difference.low))


def test_differences_within_rounding_are_zero():
    first = np.random.default_rng(7).uniform(1, 20, 50)
    second = np.nextafter(first, 0)
    assert (second < first).all()
    assert paired_difference(first, second) == (0.0, 0.0, 0.0)
    assert paired_difference([0.0], [-1e-16]).mean == 0
    assert paired_gains([8.0, 0.0], [8.0 + 1e-6, 1e-9]) == pytest.approx([1e-6, 1e-9])


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

"""Kendall's tau and resampled scores against scipy and against loops."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from clipnav.agents.experiments.ranking import kendall_tau, resampled_means
from clipnav.storage.errors import UserError


def test_tau_is_scipys_without_ties_and_counts_ties_as_no_agreement():
    rng = np.random.default_rng(0)
    first, seconds = rng.random(9), rng.random((20, 9))
    expected = np.array([kendalltau(first, second) for second in seconds])[:, 0]
    np.testing.assert_allclose(kendall_tau(first, seconds), expected)
    # Of three pairs one agrees, one is opposite and one is tied.
    assert kendall_tau(np.array([1, 2, 3]), np.array([2, 1, 2])) == 0


def test_resamples_are_those_of_loops_over_drawn_runs_and_paths():
    rng = np.random.default_rng(1)
    scores = [rng.random((3, 5)), rng.random((2, 5))]
    found = resampled_means(scores, np.random.default_rng(2), resamples=50)
    draws = np.random.default_rng(2)
    paths = draws.multinomial(5, [0.2] * 5, 50)
    runs = [draws.multinomial(len(s), [1 / len(s)] * len(s), 50) for s in scores]
    for r in range(50):
        drawn_paths = np.repeat(np.arange(5), paths[r])
        for k, system in enumerate(scores):
            drawn_runs = np.repeat(np.arange(len(system)), runs[k][r])
            values = [system[run, path] for run in drawn_runs for path in drawn_paths]
            assert found[r, k] == pytest.approx(np.mean(values))


def test_the_spread_of_resamples_is_that_of_runs_and_of_paths():
    runs, paths = np.array([0.2, 0.4, 0.9]), np.random.default_rng(3).random(400)
    rng = np.random.default_rng(4)
    scores = [np.repeat(runs[:, None], 400, axis=1), np.tile(paths, (3, 1))]
    means = resampled_means(scores, rng)
    assert means[:, 0].std() == pytest.approx(runs.std() / np.sqrt(3), rel=0.03)
    assert means[:, 1].std() == pytest.approx(paths.std() / np.sqrt(400), rel=0.03)
    # The paths are the same for all systems, so that equal systems do not differ.
    same = resampled_means([scores[1], scores[1][:1]], rng)
    np.testing.assert_allclose(same[:, 0], same[:, 1])


def test_systems_on_other_paths_are_refused():
    with pytest.raises(UserError, match=r"different numbers of paths: \[4, 5\]"):
        resampled_means([np.zeros((1, 4)), np.zeros((1, 5))], np.random.default_rng(0))

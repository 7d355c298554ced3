"""The rewards of CLEAR's agent on golden walks."""

import itertools

import numpy as np
import pytest

from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics import score_path
from clipnav.envs.navigation.settings import ndtw_rewards
from tests.conftest import connectivity_records


@pytest.fixture
def case(golden):
    return golden("clear_rewards").settings


@pytest.fixture
def graph(case):
    """Complete graph over the golden positions."""
    places = dict(zip(case["names"], case["positions"], strict=True))
    edges = set(itertools.combinations(places, 2))
    return NavGraph("complete", connectivity_records(places, edges))


def test_rewards_equal_the_released_code(case):
    places = dict(zip(case["names"], np.array(case["positions"]), strict=True))
    for walk in case["walks"]:
        goal = places[walk["reference"][-1]]
        # The last step, stop, does not move.
        walked = [*walk["walk"], walk["walk"][-1]]
        distances = np.array([np.linalg.norm(places[name] - goal) for name in walked])
        ndtw = np.array(walk["ndtw_from_start_on"])
        stop = np.arange(len(walked) - 1) == len(walked) - 2
        rewards = ndtw_rewards(distances[:-1], distances[1:], stop, ndtw[:-1], ndtw[1:])
        np.testing.assert_allclose(rewards, walk["rewards (moves, then stop)"], rtol=0, atol=1e-5)


def test_ndtw_equals_the_released_code(case, graph):
    for walk in case["walks"]:
        path, reference = walk["walk"], walk["reference"]
        prefixes = [path[:end] for end in range(1, len(path) + 1)]
        scores = [score_path(graph, prefix, reference)["ndtw"] for prefix in (*prefixes, path)]
        # The golden values are rounded to float32.
        np.testing.assert_allclose(scores, walk["ndtw_from_start_on"], rtol=1e-6)

"""The rewards of CLEAR's agent on golden walks."""

import numpy as np
import pytest

from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics import score_path
from clipnav.envs.navigation.rewards import ndtw_rewards


@pytest.fixture
def case(golden):
    return golden("clear_rewards").settings


@pytest.fixture
def graph(case):
    """Complete graph over the golden positions."""
    records = []
    for name, position in zip(case["names"], case["positions"], strict=True):
        pose = np.eye(4)
        pose[:2, 3] = position
        records.append(
            {
                "image_id": name,
                "pose": pose.ravel().tolist(),
                "included": True,
                "unobstructed": [other != name for other in case["names"]],
                "height": 1.5,
            }
        )
    return NavGraph("complete", records)


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

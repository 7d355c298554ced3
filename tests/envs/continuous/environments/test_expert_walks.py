"""The expert's walks and actions, however often and in whatever batch they are read."""

import pytest

from clipnav.envs.continuous.environments import experts
from clipnav.envs.continuous.environments.experts import ExpertWalks
from clipnav.envs.continuous.settings import task_settings


@pytest.fixture
def counted(monkeypatch):
    """Numbers of walks in the calls that compute them."""
    calls, real = [], experts.reference_walks

    def counting(floor, nodes, *arguments):
        calls.append(len(nodes))
        return real(floor, nodes, *arguments)

    monkeypatch.setattr(experts, "reference_walks", counting)
    return calls


def test_environments_of_a_simulator_share_the_reference_walks(make_box_env, box_split, counted):
    env = make_box_env(4, shuffle=False)
    env.reset(seed=0)
    env.metrics()
    assert counted == [2, 2]  # two buildings
    other = ExpertWalks(box_split, env.simulator, env.settings)
    for number in range(4):
        assert other.locations(number) is env.experts.locations(number)
    assert counted == [2, 2]
    turned = task_settings("r2r", turn_angle=30)
    ExpertWalks(box_split, env.simulator, turned).locations(0)
    assert counted == [2, 2, 1]

"""Objects that followers and frontier agents point out."""

import dataclasses

import numpy as np
import pytest
import torch

from clipnav.agents.acting.rollout import walk
from clipnav.agents.envdrop.grounding import ObjectHead, ReadPlaces
from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.frontier.learner import FrontierLearner
from tests.agents.frontier.conftest import frontier_config

__all__ = ["frontier_config"]  # fixture


@pytest.fixture
def learner(doors_config, vases):
    torch.manual_seed(0)
    return FollowerLearner(dataclasses.replace(doors_config, dataset="reverie"))


def test_the_loss_is_that_of_the_targets_at_the_viewpoints_of_the_goals(learner):
    env, world = learner.env, learner.env.nav_world
    episodes = env.episodes[:12]
    ids = [episode.instr_id for episode in episodes]
    rows = np.repeat(np.arange(12), 2)
    starts = [world.node(e.scan, e.path[0]) for e in episodes]
    ends = [world.node(e.scan, e.path[-1]) for e in episodes]
    nodes = np.stack([starts, ends], 1).ravel()
    size = learner.config.follower.hidden_size
    places = [ReadPlaces(rows, nodes, np.full(24, 12), torch.randn(24, size))]
    head = ObjectHead(size, env.objects.width)
    optimiser = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(100):
        loss, figures = learner.network.object_loss(head, env, ids, places)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert figures["correct_objects"] == 1.0
    chosen = head.best(places[0].attended, learner.features.objects, nodes, places[0].views)
    assert (chosen[::2] == -1).all(), "the start shows no objects"
    named = [env.objects.ids[node, index] for node, index in zip(ends, chosen[1::2], strict=True)]
    assert named == [episode.goal.object_id for episode in episodes]
    # Episodes of another environment have no target.
    other = learner.evaluation_envs["val_unseen"]
    assert learner.network.object_loss(head, other, ids, places)[0] == 0


@pytest.mark.parametrize("agent", ["follower", "frontier"])
def test_stops_point_out_the_best_object_of_their_viewpoint(agent, learner, frontier_config):
    if agent == "frontier":
        learner = FrontierLearner(dataclasses.replace(frontier_config, dataset="reverie"))
    learner.network.eval()
    env, walker = learner.evaluation_envs["val_unseen"], learner.agent("val_unseen")
    # Untrained scores of objects differ little; those of actions lead somewhere.
    torch.nn.init.normal_(learner.follower.decoder.candidates.query.weight, std=3.0)

    with torch.inference_mode():
        walk(env, walker, [episode.instr_id for episode in env.episodes])
    ends = [path[-1] for path in env.paths()]
    seen = env.objects
    for end, episode, answer in zip(ends, env.episodes, env.answers(), strict=False):
        node = env.nav_world.node(episode.scan, end)
        assert answer is None or answer.object_id in seen.ids[node][seen.mask[node]]
    assert any(answer is not None for answer in env.answers())

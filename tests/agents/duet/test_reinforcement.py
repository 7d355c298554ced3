"""Advantage actor-critic on the decisions of map agents."""

import dataclasses

import numpy as np
import pytest
import torch

from clipnav.agents.duet.learner import MapLearner, sampled_choices
from clipnav.agents.duet.settings import MapTrainConfig
from clipnav.agents.layers.critic import Critic
from clipnav.agents.learning.objectives import walk_loss
from clipnav.agents.settings import ReinforcementConfig

A2C = ReinforcementConfig(weight=1.0, discount=0.5, value=0.5, entropy=0.01)


@pytest.fixture
def config(tree_settings, map_config):
    """Settings of an agent that learns by reinforcement in the world of the trees."""
    return MapTrainConfig(
        **{**tree_settings, "batch_size": 8},
        iterations=60,
        max_decisions=11,
        network=map_config.network,
        optimiser=map_config.optimiser,
        teacher_weight=0.0,
        sampled_weight=0.0,
        reinforcement=A2C,
        output=map_config.output,
    )


def test_the_loss_equals_a_derivation_by_hand(config):
    torch.manual_seed(0)
    learner = MapLearner(dataclasses.replace(config, max_decisions=3))
    learner.model.local_head.outer.weight.data *= 100.0  # an untrained network stops at once
    agent = learner.agent("val_unseen")
    env = learner.evaluation_envs["val_unseen"]
    walk = agent.walk(env, [episode.instr_id for episode in env.episodes[:5]])
    critic = Critic(2 * config.network.hidden_size, 0.0)
    loss, figures = walk_loss(sampled_choices(walk), critic, A2C)

    policy = error = entropy = count = 0.0
    for row in range(5):
        future = 0.0
        for decision, rewards in zip(walk.decisions[::-1], walk.rewards[::-1], strict=True):
            (place,) = np.flatnonzero(decision.rows == row).tolist() or (None,)
            if place is None:
                continue
            future = rewards[place] + A2C.discount * future
            value = critic(decision.scores.hidden[[place]])[0]
            log_probs = torch.log_softmax(decision.scores.decision[place], 0)
            chosen = int(decision.chosen[place])
            count += 1
            error = error + (future - value) ** 2
            if decision.ends[place] and chosen:  # the limit ended the episode
                continue
            policy = policy - log_probs[chosen] * (future - value.detach())
            finite = log_probs[log_probs > -torch.inf]
            entropy = entropy - (finite.exp() * finite).sum()
    expected = (policy + A2C.value * error - A2C.entropy * entropy) / count
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    assert figures["reinforcement"] == pytest.approx(expected.item(), rel=1e-4)
    assert any((decision.ends & (decision.chosen > 0)).any() for decision in walk.decisions)


def test_cloning_leaves_the_critic_as_it_is(config):
    # A gradient of zero, instead of none, would let weight decay and momentum change it.
    learner = MapLearner(dataclasses.replace(config, cloning_iterations=1))
    learner.backward(0)
    assert all(weight.grad is None for weight in learner.network.critic.parameters())
    learner.backward(1)
    assert all(weight.grad is not None for weight in learner.network.critic.parameters())

"""Advantage actor-critic on the walks of frontier agents."""

import dataclasses

import numpy as np
import pytest
import torch

from clipnav.agents.acting.decisions import Draws
from clipnav.agents.experiments.training import train
from clipnav.agents.frontier.agent import Options
from clipnav.agents.frontier.learner import FrontierLearner, SampledDecisions
from clipnav.agents.frontier.settings import FrontierTrainConfig
from clipnav.agents.learning.agent_learner import make_agent_trainer, prepare
from clipnav.agents.maps.route_walker import RouteWalker
from clipnav.agents.settings import ReinforcementConfig
from clipnav.agents.settings.command_line import parse_agent
from clipnav.training.settings import CONFIG, to_json
from tests.agents.weights import assert_equal_weights, weights_of

A2C = ReinforcementConfig(weight=1.0, discount=0.5)


@pytest.fixture
def reinforced(short_config):
    """Settings of a run of a few iterations with reinforcement alone."""
    return dataclasses.replace(
        short_config,
        imitation_weight=0.0,
        reinforcement=A2C,
        follower=dataclasses.replace(short_config.follower, feature_dropout=0.0),
    )


def test_rewards_increase_with_reinforcement(reinforced):
    config = dataclasses.replace(reinforced, batch_size=32)
    trainer, _ = make_agent_trainer(FrontierLearner, config)
    rewards = [trainer.step()["reward"] for _ in range(60)]
    assert np.mean(rewards[-10:]) > np.mean(rewards[:10]) + 1


def test_the_loss_equals_a_derivation_by_hand(reinforced, monkeypatch):
    still = dataclasses.replace(reinforced.follower, dropout=0.0)
    config = dataclasses.replace(reinforced, imitation_weight=0.25, follower=still)
    prepare(config)
    learner = FrontierLearner(config)
    recorded = []
    walk = RouteWalker.stretches

    def record(agent, env, names):
        for stretch in walk(agent, env, names):
            recorded.append((stretch, agent.options))
            yield stretch

    monkeypatch.setattr(RouteWalker, "stretches", record)
    figures = learner.backward(0)
    critic = learner.network.critic
    assert critic is not None
    policy = error = entropy = total = 0.0
    future = np.zeros(config.batch_size)
    for (rows, targets, rewards, _), options in reversed(recorded):
        for place, row in enumerate(rows):
            future[row] = rewards[place] + A2C.discount * future[row]
            value = critic(options.hidden[[place]]).item()
            logs = torch.log_softmax(options.scores[place], 0)
            finite = logs[logs > -torch.inf]
            policy -= logs[targets[place]].item() * (future[row] - value)
            error += (future[row] - value) ** 2
            entropy -= (finite.exp() * finite).sum().item()
        total += rewards.sum()
    count = sum(len(stretch.rows) for stretch, _ in recorded)
    expected = (policy + A2C.value * error - A2C.entropy * entropy) / count
    assert figures["reinforcement"] == pytest.approx(expected, rel=1e-4)
    assert figures["loss"] == pytest.approx(0.25 * figures["imitation"] + expected, rel=1e-4)
    assert figures["reward"] == pytest.approx(total / config.batch_size)
    assert all(p.grad is not None for p in learner.network.parameters())


def test_sampled_stops_are_walked_with_reinforcement():
    scores = torch.tensor([[50.0, 0.0, 0.0]]).double()
    options = Options(scores, np.array([[True, False, False]]), labels=np.array([2]))
    policy = SampledDecisions(Draws(np.random.default_rng(0), 1), share=1.0, corrected=False)
    assert policy(np.arange(1), options).tolist() == [0]


def test_the_critic_of_an_earlier_run_is_trained_further(reinforced, tmp_path):
    first = dataclasses.replace(reinforced, iterations=2)
    train(first)
    second = dataclasses.replace(first, output=tmp_path / "second", start_from=first.output)
    prepare(second)
    assert_equal_weights(FrontierLearner(second).network.state_dict(), weights_of(first.output))


@pytest.mark.parametrize(
    ("agent", "weight", "imitation"), [("frontier", 1.0, 0.2), ("follower", 0.0, 1.0)]
)
def test_a_frontier_agent_continues_with_reinforcement(tmp_path, agent, weight, imitation):
    run = tmp_path / "run"
    run.mkdir()
    earlier = parse_agent(["--agent", agent, "--output", str(run)])
    (run / CONFIG).write_text(to_json(earlier))
    config = parse_agent(["--agent", "frontier", "--start-from", str(run)])
    assert isinstance(config, FrontierTrainConfig)
    assert (config.reinforcement.weight, config.imitation_weight) == (weight, imitation)
    assert (config.iterations, config.cloning_iterations) == (1_000, 0)

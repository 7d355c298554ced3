"""Training of frontier agents in the world of the doors."""

import dataclasses

import numpy as np
import pytest
import torch

from clipnav.agents.acting.rollout import UniformStream
from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.experiments.training import train
from clipnav.agents.frontier.agent import Options
from clipnav.agents.frontier.learner import (
    FrontierLearner,
    SampledDecisions,
    soft_cross_entropy,
    target_shares,
)
from clipnav.agents.frontier.settings import FrontierTrainConfig
from clipnav.agents.learning.agent_learner import make_agent_trainer, prepare
from clipnav.agents.maps.experts import NO_TARGET, first_best
from clipnav.agents.maps.route_walker import RouteWalker
from clipnav.agents.settings import ReinforcementConfig
from clipnav.agents.settings.command_line import parse_agent
from clipnav.training.settings import CONFIG, to_json
from tests.agents.weights import assert_equal_weights, weights_of


def test_a_frontier_agent_learns_a_trivial_world(frontier_config):
    changes = {"sampled_steps": 1.0, "expert": "ndtw", "target_temperature": 0.1}
    results = train(dataclasses.replace(frontier_config, **changes))
    for split in ("val_seen", "val_unseen"):
        assert results[split]["frontier agent"]["SR"] > 0.8
        assert results[split]["frontier agent"]["SPL"] > 0.8
        assert results[split]["random"]["SR"] < 0.7


def test_walks_that_clone_are_shortest_paths(frontier_config):
    config = dataclasses.replace(frontier_config, iterations=1, cloning_iterations=1)
    prepare(config)
    learner = FrontierLearner(config)
    figures = learner.backward(0)
    paths = learner.env.paths()
    wanted = {episode.path for episode in learner.env.episodes}
    assert {tuple(path) for path in paths} <= wanted
    assert figures["decisions"] == np.mean([len(path) for path in paths])
    assert all(p.grad is not None for p in learner.network.parameters())


def test_stops_of_the_agent_are_replaced_by_the_decision_of_the_expert():
    scores = torch.tensor([[50.0, 0.0, 0.0], [0.0, 50.0, 0.0], [50.0, 0.0, 0.0]]).double()
    visited = np.array([[True, False, False]] * 3)
    options = Options(scores, visited, labels=np.array([2, 2, NO_TARGET]))
    rows = np.arange(3)
    always = SampledDecisions(UniformStream(np.random.default_rng(0), 3), share=1.0)
    assert always(rows, options).tolist() == [2, 1, 0]
    never = SampledDecisions(UniformStream(np.random.default_rng(0), 3), share=0.0)
    assert never(rows, options).tolist() == [2, 2, 0]


def test_nodes_share_the_target_by_their_costs():
    costs = np.array([[2.0, 2.0 + np.log(3.0), np.inf], [np.inf, 0.0, np.inf], [np.inf] * 3])
    expected = [[0.75, 0.25, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]

    def shares(costs, temperature):
        options = Options(torch.zeros(3, 3), np.zeros((3, 3), bool), costs, first_best(costs))
        return target_shares(options, temperature)

    np.testing.assert_allclose(shares(costs, 1.0), expected, atol=1e-15)
    np.testing.assert_allclose(shares(0.1 * costs, 0.1), expected, atol=1e-15)
    assert shares(costs, 0.0).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_the_loss_ignores_nodes_that_cannot_be_chosen_and_episodes_without_target():
    scores = torch.tensor([[1.0, 2.0, -torch.inf], [0.5, -torch.inf, 3.0]]).double()
    scores.requires_grad_()
    loss = soft_cross_entropy(scores, torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]).double())
    logs = torch.tensor([1.0, 2.0]).double().log_softmax(0)
    torch.testing.assert_close(loss, -logs.mean())
    loss.backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
    assert not scores.grad[1].any()


def test_a_frontier_agent_starts_from_a_follower_and_a_follower_from_it(
    doors_config, frontier_config, tmp_path
):
    weight = dataclasses.replace(doors_config.reinforcement, weight=1.0)
    doors_config = dataclasses.replace(doors_config, follower=frontier_config.follower)
    first = dataclasses.replace(doors_config, iterations=2, reinforcement=weight)
    train(first)
    second = dataclasses.replace(frontier_config, iterations=2, start_from=first.output)
    learner = FrontierLearner(second)
    assert_equal_weights(
        learner.follower.state_dict(),
        {
            name.removeprefix("follower."): value
            for name, value in weights_of(first.output).items()
            if name.startswith("follower.")
        },
    )
    train(second)
    third = dataclasses.replace(doors_config, output=tmp_path / "third", start_from=second.output)
    third = dataclasses.replace(third, reinforcement=weight)
    back = make_agent_trainer(FollowerLearner, third)[1]
    expected = {f"follower.{name}": value for name, value in back.follower.state_dict().items()}
    assert_equal_weights(expected, weights_of(second.output))


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
    slow = dataclasses.replace(reinforced.optimiser, learning_rate=2e-3)
    config = dataclasses.replace(reinforced, batch_size=32, optimiser=slow)
    trainer, _ = make_agent_trainer(FrontierLearner, config)
    rewards = [trainer.step()["reward"] for _ in range(60)]
    assert np.mean(rewards[-10:]) > np.mean(rewards[:10]) + 1


def test_the_loss_equals_a_derivation_by_hand(reinforced, monkeypatch):
    still = dataclasses.replace(reinforced.follower, dropout=0.0)
    config = dataclasses.replace(reinforced, imitation_weight=0.25, follower=still)
    prepare(config)
    learner = FrontierLearner(config)
    recorded = []
    walk = RouteWalker.segments

    def record(agent, env, names):
        for segment in walk(agent, env, names):
            recorded.append((segment, agent.options))
            yield segment

    monkeypatch.setattr(RouteWalker, "segments", record)
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
    count = sum(len(segment.rows) for segment, _ in recorded)
    expected = (policy + A2C.value * error - A2C.entropy * entropy) / count
    assert figures["reinforcement"] == pytest.approx(expected, rel=1e-4)
    assert figures["loss"] == pytest.approx(0.25 * figures["imitation"] + expected, rel=1e-4)
    assert figures["reward"] == pytest.approx(total / config.batch_size)
    assert all(p.grad is not None for p in learner.network.parameters())


def test_sampled_stops_are_walked_with_reinforcement():
    scores = torch.tensor([[50.0, 0.0, 0.0]]).double()
    options = Options(scores, np.array([[True, False, False]]), labels=np.array([2]))
    policy = SampledDecisions(
        UniformStream(np.random.default_rng(0), 1), share=1.0, corrected=False
    )
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

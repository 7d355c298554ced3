"""Training of frontier agents in the world of the doors."""

import dataclasses

import numpy as np
import torch

from clipnav.agents.acting.decisions import Draws
from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.experiments.training import train
from clipnav.agents.frontier.agent import Options
from clipnav.agents.frontier.learner import (
    FrontierLearner,
    SampledDecisions,
    soft_cross_entropy,
    target_shares,
)
from clipnav.agents.learning.agent_learner import make_agent_trainer, prepare
from clipnav.agents.maps.experts import NO_TARGET, first_best
from tests.agents.weights import assert_equal_weights, weights_of


def test_a_frontier_agent_learns_a_trivial_world(frontier_config):
    changes = {"sampled_steps": 1.0, "expert": "ndtw", "target_temperature": 0.1}
    results = train(dataclasses.replace(frontier_config, **changes))
    for split in ("val_seen", "val_unseen"):
        assert results[split]["frontier agent"]["SR"] == 1.0
        assert results[split]["frontier agent"]["SPL"] == 1.0
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
    always = SampledDecisions(Draws(np.random.default_rng(0), 3), share=1.0)
    assert always(rows, options).tolist() == [2, 1, 0]
    never = SampledDecisions(Draws(np.random.default_rng(0), 3), share=0.0)
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

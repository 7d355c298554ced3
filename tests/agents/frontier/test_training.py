"""Training of frontier agents in the world of the doors."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from clipnav.agents.acting.decisions import Draws
from clipnav.agents.acting.evaluation import evaluate
from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.experiments.training import train
from clipnav.agents.frontier.agent import Options
from clipnav.agents.frontier.learner import (
    FrontierLearner,
    SampledDecisions,
    soft_cross_entropy,
    target_shares,
)
from clipnav.agents.learning.agent_trainer import make_agent_trainer, prepare
from clipnav.agents.maps.experts import NO_TARGET, first_best
from clipnav.agents.settings import ReinforcementConfig, read_agent_config
from clipnav.training.checkpoints import RESULTS
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.settings import CONFIG, to_json
from tests.agents.weights import assert_equal_weights, assert_same_first_gradient, weights_of
from tests.torchrun import SCRIPTS, run_two_ranks


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"cloning_iterations": 100},
        {"sampled_steps": 1.0, "expert": "ndtw", "target_temperature": 0.1},
        {"target_temperature": 1.0},
    ],
    ids=["default", "cloning", "sampled", "shared"],
)
def test_a_frontier_agent_learns_a_trivial_world(frontier_config, changes):
    config = dataclasses.replace(frontier_config, **changes)
    results = train(config)
    for split in ("val_seen", "val_unseen"):
        assert results[split]["frontier agent"]["SR"] == 1.0
        assert results[split]["frontier agent"]["SPL"] == 1.0
        assert results[split]["random"]["SR"] < 0.7
    assert json.loads((config.output / RESULTS).read_text())["results"] == results
    assert read_agent_config(config.output) == dataclasses.replace(config, resume=None)
    env, agent = load_run(config.output, "val_unseen")
    with torch.inference_mode():
        assert evaluate(env, agent).summary() == results["val_unseen"]["frontier agent"]


@pytest.mark.parametrize("weight", [0.0, 0.5], ids=["imitation", "with reinforcement"])
def test_resume_is_bit_identical(short_config, tmp_path, weight):
    short_config = dataclasses.replace(
        short_config, reinforcement=ReinforcementConfig(weight=weight)
    )
    whole = dataclasses.replace(short_config, output=tmp_path / "whole")
    make_agent_trainer(FrontierLearner, whole)[0].train()
    parts = dataclasses.replace(short_config, output=tmp_path / "parts", iterations=3)
    make_agent_trainer(FrontierLearner, parts)[0].train()
    resumed = dataclasses.replace(short_config, output=None, resume=tmp_path / "parts")
    make_agent_trainer(FrontierLearner, resumed)[0].train()
    weights = weights_of(tmp_path / "whole")
    assert any(name.startswith("critic.") for name in weights) == bool(weight)
    assert_equal_weights(weights, weights_of(tmp_path / "parts"))


def test_the_seed_determines_the_weights(short_config, tmp_path):
    runs = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        config = dataclasses.replace(short_config, output=tmp_path / name, seed=seed)
        make_agent_trainer(FrontierLearner, config)[0].train()
        runs.append(weights_of(tmp_path / name))
    assert_equal_weights(runs[0], runs[1])
    name = "follower.encoder.embedding.weight"
    assert not torch.equal(runs[0][name], runs[2][name])


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


@pytest.mark.parametrize("reinforced", [False, True], ids=["imitation", "reinforcement"])
def test_a_frontier_agent_starts_from_a_follower_and_a_follower_from_it(
    doors_config, frontier_config, tmp_path, reinforced
):
    weight = dataclasses.replace(doors_config.reinforcement, weight=float(reinforced))
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


@pytest.mark.parametrize("weight", [0.0, 0.5], ids=["imitation", "with reinforcement"])
def test_gradient_of_two_ranks_equals_one_process_with_twice_the_batch(
    frontier_config, launcher, tmp_path, weight
):
    config = dataclasses.replace(
        frontier_config,
        reinforcement=ReinforcementConfig(weight=weight),
        batch_size=8,
        iterations=1,
        evaluation_splits=("val_unseen",),
        select_by="val_unseen",
        follower=dataclasses.replace(frontier_config.follower, dropout=0.0),
        optimiser=OptimiserConfig(name="adam", learning_rate=1e-4, clip="norm", clip_at=1e9),
    )
    alone = train(config)
    half = dataclasses.replace(config, batch_size=4, output=None)
    (tmp_path / CONFIG).write_text(to_json(half))
    both = tmp_path / "two"
    arguments = ("--config", tmp_path / CONFIG, "--output", both)
    run_two_ranks(launcher, tmp_path, SCRIPTS / "train_agent.py", *arguments)
    assert_same_first_gradient(config.output, both)
    results = json.loads((both / RESULTS).read_text())["results"]
    assert results == json.loads(json.dumps(alone))

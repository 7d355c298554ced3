"""The losses of map agents, and their two ways of computation."""

import dataclasses

import numpy as np
import pytest
import torch

from clipnav.agents.acting.rollout import UniformStream
from clipnav.agents.duet.agent import MapAgent
from clipnav.agents.duet.learner import MapLearner, MapLoss, decision_loss, path_batch
from clipnav.agents.duet.memory import WorldFeatures
from clipnav.agents.duet.settings import MapTrainConfig
from clipnav.agents.maps.experts import NO_TARGET, STOP_TOKEN, Expert, path_targets
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.transformer.il_rl import Minibatches
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.references import ReferencePaths


@pytest.fixture
def learner(tree_settings, map_config):
    config = MapTrainConfig(
        **{**tree_settings, "batch_size": 24},
        iterations=1,
        max_decisions=8,
        network=map_config.network,
    )
    torch.manual_seed(0)
    return MapLearner(config)


def gradients(learner, loss):
    learner.network.zero_grad()
    loss.backward()
    named = learner.network.named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


def test_one_forward_over_whole_paths_equals_walking_them(learner):
    """Losses and gradients are equal, also for instructions that share a panorama."""
    episodes = np.arange(24)
    loss, figures = learner.network.clone(
        learner.env, learner.features, learner.references, episodes
    )
    assert figures["cloning"] == loss.item()
    assert 0 <= figures["agreement"] <= 1
    together = gradients(learner, loss)

    nodes = learner.references.nodes[episodes].astype(np.int64)
    steps = iter(range(nodes.shape[1]))

    def policy(maps, state, scores, labels):
        step = next(steps)
        following = nodes[state.rows, step + 1] if step + 1 < nodes.shape[1] else None
        targets = np.full(len(state.rows), -1) if following is None else following
        return path_targets(maps, state.rows, state.tokens, targets)

    agent = MapAgent(learner.model, learner.features, 8, policy)
    walk = agent.walk(learner.env, [e.instr_id for e in learner.env.episodes[:24]])
    losses = [decision_loss(d.scores.decision, torch.from_numpy(d.chosen)) for d in walk.decisions]
    stepwise = torch.stack(losses).sum() / len(episodes)
    torch.testing.assert_close(stepwise, loss, rtol=1e-5, atol=1e-5)
    for name, gradient in gradients(learner, stepwise).items():
        torch.testing.assert_close(gradient, together[name], rtol=1e-3, atol=1e-5)


def test_the_loss_is_the_weighted_sum_of_both_minibatches(learner):
    def loss(cloned, sampled, weight):
        draws = UniformStream(np.random.default_rng(0), len(sampled))
        batch = Minibatches(cloned, sampled, draws, weight)
        return learner.network(learner.env, learner.features, learner.references, batch)[1]

    first, second, none = np.arange(6), np.arange(6, 12), np.arange(0)
    both = loss(first, second, 0.2)
    assert both["cloning"] == pytest.approx(loss(first, none, 1.0)["loss"], rel=1e-5)
    assert both["sampled"] == pytest.approx(loss(none, second, 0.0)["loss"], rel=1e-5)
    assert both["loss"] == pytest.approx(0.2 * both["cloning"] + both["sampled"], rel=1e-5)


@pytest.mark.parametrize("revisits", [False, True])
def test_second_visits_never_make_the_loss_infinite(revisits):
    geometry = MapGeometry.of(NavWorld([NavGraph.load("house_00")]))
    neighbour = int(geometry.candidates[0, 0])
    path = np.array([[0, neighbour, 0, neighbour]])
    ones = np.ones(1)
    view, goal = np.array([12]), path[:, -1:]
    references = ReferencePaths(path, np.array([4]), ones, ones, ones > 0, view, goal, None)
    paths = path_batch(WorldFeatures(geometry, None), references, np.array([0]), revisits)
    assert len(paths.targets) == 4, "the path is followed to its last viewpoint"
    forbidden = paths.paths.state.forbidden[paths.states]
    chosen = paths.targets != NO_TARGET
    assert not forbidden[np.flatnonzero(chosen), paths.targets[chosen]].any()
    assert chosen.tolist() == [True, revisits, revisits, True]


def test_places_of_masked_views_are_the_end_of_a_path_or_any_earlier_one(learner):
    paths = path_batch(learner.features, learner.references, np.arange(24), revisits=False)
    rng = np.random.default_rng(0)
    drawn = np.array([paths.drawn(rng) for _ in range(200)])  # (200, 24)
    np.testing.assert_array_equal(paths.episodes[drawn], np.tile(np.arange(24), (200, 1)))
    steps = paths.paths.steps[paths.states]
    assert steps[paths.last()].tolist() == [2] * 24
    shares = np.bincount(steps[drawn].ravel()) / drawn.size
    np.testing.assert_allclose(shares, [0.4, 0.4, 0.2], atol=0.03)


def test_walks_without_sampled_steps_follow_the_expert(learner, monkeypatch):
    calls, targets = [], Expert.targets
    monkeypatch.setattr(Expert, "targets", lambda *args: calls.append(args) or targets(*args))
    guided = dataclasses.replace(learner.config, sampled_steps=0.0)
    network = MapLoss(learner.model, guided)
    batch = Minibatches(
        np.arange(0), np.arange(24), UniformStream(np.random.default_rng(0), 24), 0.0
    )
    network.sample(learner.env, learner.features, learner.references, batch)
    ends = [poses[-1][0] for poses in learner.env.trajectories()]
    assert ends == [episode.path[-1] for episode in learner.env.episodes[:24]]
    assert len(calls) == 3, "the expert labels each of the three decisions once"


def sampled_paths(learner):
    """Return the paths of 24 walks with equally likely decisions, their goals and the figures."""
    for name, weight in learner.model.named_parameters():
        if "_head." in name:
            torch.nn.init.zeros_(weight)
    batch = Minibatches(
        np.arange(0), np.arange(24), UniformStream(np.random.default_rng(4), 24), 0.0
    )
    _, figures = learner.network.sample(learner.env, learner.features, learner.references, batch)
    goals = [episode.path[-1] for episode in learner.env.episodes[:24]]
    return learner.env.paths()[:24], goals, figures


def test_sampled_walks_end_at_the_goal(learner):
    paths, goals, _ = sampled_paths(learner)
    assert sum(goal in path for path, goal in zip(paths, goals, strict=True)) > 8
    assert not any(goal in path[:-1] for path, goal in zip(paths, goals, strict=True))


def test_reinforcement_sees_what_follows_a_missed_stop_but_dagger_does_not(learner, monkeypatch):
    config = dataclasses.replace(
        learner.config, reinforcement=dataclasses.replace(learner.config.reinforcement, weight=1.0)
    )
    learner = MapLearner(config)
    seen = []

    def record(scores, targets):
        seen.append(targets)
        return decision_loss(scores, targets)

    monkeypatch.setattr("clipnav.agents.duet.learner.decision_loss", record)
    paths, goals, _ = sampled_paths(learner)
    passing = [goal in path[:-1] for path, goal in zip(paths, goals, strict=True)]
    assert any(passing)
    stops = sum((targets == STOP_TOKEN).sum().item() for targets in seen)
    assert stops == sum(goal in path for path, goal in zip(paths, goals, strict=True))
    assert any((targets == NO_TARGET).any() for targets in seen)

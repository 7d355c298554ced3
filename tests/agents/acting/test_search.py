import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from agents.acting.environments import make_follower
from agents.acting.follower_agent import FollowerAgent
from agents.acting.rollout import walk
from agents.acting.search import Position, Searcher, beam_search, best_first_search
from agents.envdrop.encoders import Context, State
from agents.envdrop.follower import Decision
from envs.graphs.nav_graph import NavGraph
from envs.graphs.nav_world import NavWorld
from envs.navigation.device_features import DeviceFeatures, DeviceView
from tests.conftest import connectivity_records

#       b - d            A greedy walk goes to a, then c or stops; the whole path s b d stop is
#      /                 the likeliest one.
#     s - a - c
POSITIONS = {"s": (0, 0), "a": (2, 0), "b": (0, 2), "c": (4, 0), "d": (2, 2.5)}
EDGES = ("sa", "sb", "ac", "bd")
# Probability of stopping, and of going to each neighbour.
CHOICES = {
    "s": {"stop": 0.0, "a": 0.6, "b": 0.4},
    "a": {"stop": 0.3, "s": 0.3, "c": 0.4},
    "b": {"stop": 0.1, "s": 0.1, "d": 0.8},
    "c": {"stop": 0.5, "a": 0.5},
    "d": {"stop": 0.9, "b": 0.1},
}


def make_world():
    return NavWorld([NavGraph("scan", connectivity_records(POSITIONS, EDGES))])


class Nodes:
    """Features that contain the node only."""

    def gather(self, nodes, views, width):
        numbers = torch.as_tensor(nodes, dtype=torch.float32)
        empty = torch.zeros(len(nodes), width)
        return DeviceView(numbers[:, None, None], empty, empty > -1, empty, empty)


class Chooser(torch.nn.Module):
    """Stub of a follower with the probabilities above."""

    visit_features = False

    def __init__(self, world):
        super().__init__()
        self.parameter = torch.nn.Parameter(torch.zeros(1))
        self.world = world

    def encoder(self, tokens):
        count = len(tokens)
        words = torch.zeros(count, 1, 1)
        return Context(words, words[..., 0] == 0), State(
            torch.zeros(count, 1), torch.zeros(count, 1), torch.zeros(count, 2, 1)
        )

    def decide(self, view, context, state):
        nodes = view.panorama[:, 0, 0].long().tolist()
        scores = torch.full((len(nodes), view.mask.shape[1]), -torch.inf, dtype=torch.float64)
        for row, node in enumerate(nodes):
            choices = CHOICES[self.world.viewpoint_ids[node]]
            scores[row, 0] = math.log(choices["stop"]) if choices["stop"] else -torch.inf
            for action in np.flatnonzero(self.world.mask[node])[1:]:
                target = self.world.viewpoint_ids[self.world.targets[node, action]]
                scores[row, action] = math.log(choices[target])
        # The state counts the decisions of a path.
        return Decision(scores, state._replace(attended=state.attended + 1), None, None, None)


@pytest.fixture
def world():
    return make_world()


@pytest.fixture
def searcher(world):
    start = Position(world.node("scan", "s"), 0)
    return Searcher(Chooser(world), Nodes(), world, np.ones((2, 3), int), [start, start])


def names(world, path):
    return "".join(world.viewpoint_ids[place.node] for place in path.positions)


def probability(path):
    value = 1.0
    for here, there in itertools.pairwise(path):
        value *= CHOICES[here][there]
    return value * CHOICES[path[-1]]["stop"]


@pytest.mark.parametrize("method", ["beam", "best-first"])
def test_search_finds_a_more_probable_path_than_greedy_decoding(world, searcher, method):
    if method == "beam":
        results = beam_search(searcher, 2, 6)
    else:
        results = best_first_search(searcher, 2, 300)
    assert len(results) == 2
    for result in results:
        likeliest = result.paths[0]
        assert names(world, likeliest) == "sbd"
        assert likeliest.actions[-1] == 0
        assert len(likeliest.actions) == len(likeliest.positions)
        assert math.exp(likeliest.log_prob) == pytest.approx(0.4 * 0.8 * 0.9)
        for path in result.paths:
            assert math.exp(path.log_prob) == pytest.approx(probability(names(world, path)))


def test_beam_width_one_is_greedy_decoding(world, searcher):
    # s, a, c, and at c going back and stopping are equally likely: the first found, stop, wins.
    result = beam_search(searcher, 1, 6)[0]
    assert [names(world, path) for path in result.paths] == ["sac"]
    assert math.exp(result.paths[0].log_prob) == pytest.approx(0.6 * 0.4 * 0.5)
    assert [world.viewpoint_ids[node] for node in result.expanded] == ["s", "a", "c"]


def test_complete_paths_keep_their_slots_in_the_beam(world, searcher, monkeypatch):
    monkeypatch.setitem(CHOICES, "a", {"stop": 0.6, "s": 0.1, "c": 0.3})
    # Stopping at a is the likeliest after two steps; then there is room for one other path.
    result = beam_search(searcher, 2, 6)[0]
    assert [names(world, path) for path in result.paths] == ["sa", "sbd"]
    assert [world.viewpoint_ids[node] for node in result.expanded] == ["s", "a", "b", "d"]


def test_partial_paths_stop_at_the_maximum_number_of_steps(world, searcher):
    result = beam_search(searcher, 2, 1)[0]
    assert [names(world, path) for path in result.paths] == ["sa", "sb"]
    assert math.exp(result.paths[0].log_prob) == pytest.approx(0.6)


def test_best_first_search_expands_each_viewpoint_once(world, searcher):
    result = best_first_search(searcher, 50, 300)[0]
    assert sorted(world.viewpoint_ids[node] for node in result.expanded) == sorted(POSITIONS)
    assert [names(world, path) for path in result.paths[:4]] == ["sbd", "sa", "sac", "sb"]
    log_probs = [path.log_prob for path in result.paths]
    assert log_probs == sorted(log_probs, reverse=True)


def test_best_first_search_ends_at_the_expansion_limit(world, searcher):
    result = best_first_search(searcher, 1, 2)[0]
    assert [world.viewpoint_ids[node] for node in result.expanded] == ["s", "a"]
    assert len(result.paths) == 1


@pytest.mark.parametrize("visit_features", [False, True])
def test_beam_width_one_equals_the_walk_of_the_follower(
    doors_config, doors_env, visit_features, monkeypatch
):
    monkeypatch.setattr("agents.acting.search._ROWS", 5)  # of the sixteen
    torch.manual_seed(0)
    settings = dataclasses.replace(doors_config.follower, visit_features=visit_features)
    config = dataclasses.replace(doors_config, follower=settings)
    follower = make_follower(config, doors_env).eval()
    features = DeviceFeatures(doors_env)
    ids = [episode.instr_id for episode in doors_env.episodes[:16]]
    observation, _ = doors_env.reset(options={"episode_ids": ids})
    starts = [
        Position(*map(int, pair))
        for pair in zip(observation["viewpoint"], observation["view"], strict=True)
    ]
    with torch.inference_mode():
        searcher = Searcher(
            follower, features, doors_env.nav_world, observation["instruction"], starts
        )
        results = beam_search(searcher, 1, doors_env.max_episode_steps)
        walk(doors_env, FollowerAgent(follower, features), ids)
    ids_of = doors_env.nav_world.viewpoint_ids
    paths = [[ids_of[place.node] for place in result.paths[0].positions] for result in results]
    assert paths == doors_env.paths()

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from agents.acting.environments import make_follower
from agents.acting.follower_agent import FollowerAgent
from agents.acting.rollout import walk
from agents.acting.search import (
    Position,
    Searcher,
    beam_search,
    best_first_search,
    start_positions,
)
from envs.navigation.device_features import DeviceFeatures
from tests.agents.crossroads import CHOICES, POSITIONS, Chooser, Nodes, make_world


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
    starts = start_positions(observation)
    with torch.inference_mode():
        searcher = Searcher(
            follower, features, doors_env.nav_world, observation["instruction"], starts
        )
        results = beam_search(searcher, 1, doors_env.max_episode_steps)
        walk(doors_env, FollowerAgent(follower, features), ids)
    ids_of = doors_env.nav_world.viewpoint_ids
    paths = [[ids_of[place.node] for place in result.paths[0].positions] for result in results]
    assert paths == doors_env.paths()

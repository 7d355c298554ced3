import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from clipnav.agents.acting.rollout import walk
from clipnav.agents.envdrop.action_scores import count_visits, pad_histories
from clipnav.agents.envdrop.follower_agent import FollowerAgent
from clipnav.agents.envdrop.learner import make_follower
from clipnav.agents.envdrop.search import (
    Position,
    Searcher,
    _PartialPath,
    beam_search,
    best_first_search,
    start_positions,
)
from clipnav.envs.navigation.device_features import DeviceFeatures
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


def test_best_first_search_expands_each_move_once_and_ends_at_each_viewpoint_once(world, searcher):
    result = best_first_search(searcher, 50, 300)[0]
    moves = sum(len(choices) - 1 for choices in CHOICES.values())
    assert len(result.expanded) == 1 + moves + len(POSITIONS)
    assert sorted(names(world, path)[-1] for path in result.paths) == sorted(POSITIONS)
    assert [names(world, path) for path in result.paths[:4]] == ["sbd", "sa", "sac", "sb"]
    log_probs = [path.log_prob for path in result.paths]
    assert log_probs == sorted(log_probs, reverse=True)


def likeliest_ends(choices, start):
    """Return the likeliest path to each end, by enumeration of all paths of up to nine nodes."""
    best: dict[str, tuple[float, str]] = {}
    paths = [(1.0, start)]
    while paths:
        chance, path = paths.pop()
        here = choices[path[-2:]] if len(path) > 1 else choices[path]
        best[path[-1]] = max(best.get(path[-1], (0.0, "")), (chance * here["stop"], path))
        if len(path) < 9:
            paths += [(chance * p, path + to) for to, p in here.items() if to != "stop"]
    return best


def test_best_first_search_finds_the_likeliest_path_over_a_viewpoint_of_other_paths(monkeypatch):
    # Only those who come to d over b know that they are there.
    ways = {
        "s": {"stop": 0.02, "a": 0.6, "b": 0.38},
        **{arm: {"stop": 0.01, "s": 0.01, "d": 0.98} for arm in ("sa", "sb")},
        **{arm: {"stop": 0.01, "s": 0.98, "d": 0.01} for arm in ("da", "db")},
        "ad": {"stop": 0.05, "a": 0.9, "b": 0.05},
        "bd": {"stop": 0.98, "a": 0.01, "b": 0.01},
        **{back: {"stop": 0.01, "a": 0.495, "b": 0.495} for back in ("as", "bs")},
    }
    neighbours = {"s": "ab", "a": "sd", "b": "sd", "d": "ab"}

    class Toy:
        starts = (_PartialPath(0, (Position("s", 0),), (), 0.0, None),)

        def expand(self, partials):
            return [(partial, self.logs(partial)) for partial in partials]

        def logs(self, partial):
            chances = ways["".join(place.node for place in partial.positions[-2:])]
            return np.log([chances["stop"], *map(chances.get, neighbours[self.end(partial)])])

        def end(self, partial):
            return partial.positions[-1].node

        def moves(self, partial, logs):
            targets = enumerate(neighbours[self.end(partial)], 1)
            return [(partial.log_prob + logs[k], k, Position(to, 0)) for k, to in targets]

    expected = sorted(likeliest_ends(ways, "s").values(), reverse=True)
    result = best_first_search(Toy(), 4, 300)[0]
    found = [("".join(p.node for p in path.positions), path.log_prob) for path in result.paths]
    assert [path for path, _ in found] == [path for _, path in expected]
    assert [chance for _, chance in found] == pytest.approx([math.log(p) for p, _ in expected])
    assert found[0][0] == "sbd"


def test_best_first_search_ends_at_the_expansion_limit(world, searcher):
    result = best_first_search(searcher, 1, 2)[0]
    assert [world.viewpoint_ids[node] for node in result.expanded] == ["s", "a"]
    assert len(result.paths) == 1


@pytest.mark.parametrize("visit_features", [False, True])
def test_beam_width_one_equals_the_walk_of_the_follower(
    doors_config, doors_env, visit_features, monkeypatch
):
    monkeypatch.setattr("clipnav.agents.envdrop.search._ROWS", 5)  # of the sixteen
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


def test_visits_are_counted_by_candidate():
    histories = np.array([[4, 5, 4, 5, 6], [7, 7, 8, 9, 8]])
    targets = np.array([[6, 5, 4, 3], [8, 7, 9, 1]])
    assert count_visits(histories, targets).tolist() == [[0, 2, 2, 0], [1, 2, 1, 0]]


def test_padding_of_shorter_walks_is_not_counted():
    histories = pad_histories([[1, 2, 1], [1], [0, 1]])
    assert histories.shape == (3, 3)
    targets = np.array([[1, 2, 0], [1, 2, 0], [1, 2, 0]])
    assert count_visits(histories, targets).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]

"""Walks of which only the positions are known, replayed on the floor."""

from dataclasses import replace

import numpy as np
import pytest

from clipnav.envs.continuous.environments.replay import impossible_steps
from clipnav.envs.continuous.environments.walks import ContinuousWalks
from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, STOP, task_settings
from tests.envs.continuous.conftest import BoxSimulator

STEPS = 120


def walked(split, settings, choose):
    """Return rounded positions and stops of the walks of all episodes."""
    walks = ContinuousWalks(split, BoxSimulator(settings), len(split.episodes), settings)
    walks.start(np.arange(len(split.episodes)), np.arange(len(split.episodes)))
    for step in range(STEPS):
        walks.step(np.asarray(choose(step, len(split.episodes))), STEPS)
    traces = walks.traces()
    return [trace.positions.round(4) for trace in traces], [trace.stopped for trace in traces]


def found(split, settings, positions, stopped):
    simulator = BoxSimulator(settings)
    return impossible_steps(split.episodes, positions, stopped, simulator, settings)


@pytest.mark.parametrize("offset", [0.0, 0.3], ids=["on the floor", "above the floor"])
@pytest.mark.parametrize("dataset", ["r2r", "rxr"])  # with and without sliding
def test_walks_of_agents_are_possible(dataset, offset, box_split):
    settings, rng = task_settings(dataset), np.random.default_rng(0)
    starts = [(x, y, z + offset) for x, y, z in (e.start for e in box_split.episodes)]
    episodes = [replace(e, start=s) for e, s in zip(box_split.episodes, starts, strict=True)]
    split = replace(box_split, episodes=episodes)
    for stop in (0.0, 0.02):
        count = settings.num_actions
        rest = [(0.35 - stop) / (count - 2)] * (count - 2)

        def choose(step, agents, chances=(stop, 0.65, *rest)):
            return rng.choice(len(chances), size=agents, p=chances)

        positions, stopped = walked(split, settings, choose)
        assert any(stopped) == (stop > 0)
        assert found(split, settings, positions, stopped) == {}


def turned(position, *moves):
    """Return positions after moves (degrees clockwise from +y, metres), None for a pause."""
    places = [np.array(position, float)]
    for move in moves:
        degrees, length = move or (0, 0)
        angle = np.radians(degrees)
        step = length * np.array([np.sin(angle), np.cos(angle), 0])
        places.append(places[-1] + step)
    return np.array(places).round(4)


# Walks from (1, 1) of the hall, whose agent faces +y, and the first step that is impossible.
MOVES = {
    "steps and turns": ([(0, 0.25), None, (15, 0.25), None, (0, 0.25)], None),
    "a turn of three": ([None, None, None, (45, 0.25)], None),
    "a turn too early": ([None, None, (45, 0.25)], 3),
    "a direction between": ([None, (7, 0.25)], 2),
    "a side step": ([(90, 0.25)], 1),
    "a step back": ([(0, 0.25), (180, 0.25)], 2),
    "a long step": ([(0, 0.5)], 1),
    "a short step": ([(0, 0.1)], 1),
    "a step too much": ([(0, 0.25)] * 9, 9),  # the wall is after 2 m
    "through the wall": ([(0, 0.25)] * 40, 9),
}


@pytest.mark.parametrize("stops", [False, True])
@pytest.mark.parametrize("name", MOVES)
def test_steps_that_no_action_leads_to_are_found(name, stops, box_split):
    moves, first = MOVES[name]
    split = replace(box_split, episodes=box_split.episodes[:1])
    walk = turned(split.episodes[0].start, *moves, *([None] if stops else []))
    expected = {} if first is None else {0: first}
    assert found(split, task_settings("r2r"), [walk], [stops]) == expected


def test_a_stop_moves_nobody(box_split):
    split = replace(box_split, episodes=box_split.episodes[:1])
    walk = turned(split.episodes[0].start, (0, 0.25), (0, 0.25))
    assert found(split, task_settings("r2r"), [walk], [False]) == {}
    assert found(split, task_settings("r2r"), [walk], [True]) == {0: 2}


def test_walks_are_judged_alone(box_split):
    settings = task_settings("r2r")
    actions = [FORWARD, RIGHT, FORWARD, LEFT, FORWARD]
    positions, stopped = walked(
        box_split, settings, lambda step, count: [(*actions, STOP)[min(step, 5)]] * count
    )
    positions[2] = positions[2] + np.linspace(0, 0.5, len(positions[2]))[:, None]
    assert found(box_split, settings, positions, stopped) == {2: 1}
    assert found(box_split, settings, [p[:1] for p in positions], stopped) == {}

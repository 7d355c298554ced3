"""Experts on reference paths that pass their goal early or enter a viewpoint twice."""

import numpy as np
import pytest

from agents.maps.experts import STOP_TOKEN, Expert
from agents.maps.geometry import MapGeometry
from agents.maps.known_maps import KnownMaps
from envs.graphs.nav_graph import NavGraph
from envs.graphs.nav_world import NavWorld


@pytest.fixture(scope="module")
def geometry():
    return MapGeometry.of(NavWorld([NavGraph.load("house_00")]))


def looped_path(geometry):
    """Return a path of four viewpoints whose goal is its second one."""
    for goal in geometry.candidates[0]:
        for other in geometry.candidates[goal]:
            if goal > 0 and other > 0 and other not in geometry.candidates[0]:
                return [0, int(goal), int(other), int(goal)]
    raise AssertionError("the house has no such path")


def followed(geometry, path, kind, revisits):
    """Return the viewpoints that an agent visits that obeys the expert."""
    world, rows = geometry.world, np.zeros(1, np.int64)
    expert = Expert(world, np.array([path]), np.array([len(path)]), kind, revisits)
    maps, walked = KnownMaps(geometry, 1), [path[0]]
    for _ in range(8):
        maps.visit(rows, np.array(walked[-1:]))
        tokens = maps.tokens(rows, np.array([12]))
        target = int(expert.targets(maps, rows, tokens)[0])
        if target == STOP_TOKEN:
            return walked
        route = maps.routes(rows, tokens.slots[:, target])
        expert.walk(rows, route)
        walked += route[0].tolist()
    return walked


def test_the_ndtw_expert_follows_a_path_that_passes_its_goal_early(geometry):
    path = looped_path(geometry)
    assert followed(geometry, path, "ndtw", revisits=True) == path


def test_the_spl_expert_stops_at_the_goal(geometry):
    path = looped_path(geometry)
    assert followed(geometry, path, "spl", revisits=False) == path[:2]


def test_both_experts_follow_a_shortest_path(geometry):
    world = geometry.world
    goal = int(world.distance(np.zeros(len(world), int), np.arange(len(world))).argmax())
    path = [0]
    while path[-1] != goal:
        action = world.teacher_action(np.array(path[-1:]), np.array([goal]))
        path.append(int(world.targets[path[-1], action[0]]))
    for kind in ("spl", "ndtw"):
        assert followed(geometry, path, kind, revisits=False) == path

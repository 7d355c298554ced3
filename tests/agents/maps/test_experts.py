"""Experts on reference paths that pass their goal early or enter a viewpoint twice."""

import numpy as np
import pytest

from clipnav.agents.maps.experts import STOP_TOKEN, Expert, first_best
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.maps.topological_maps import TopologicalMaps
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.graphs.nav_world import NavWorld


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
    maps, walked = TopologicalMaps(geometry, 1), [path[0]]
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


def frontier_walk(geometry, path, kind, detour=()):
    """Return the viewpoints of an agent that obeys the expert after it has walked a detour."""
    world, rows = geometry.world, np.zeros(1, np.int64)
    expert = Expert(world, np.array([path]), np.array([len(path)]), kind)
    maps, walked, detour = TopologicalMaps(geometry, 1), [path[0]], list(detour)
    for _ in range(12):
        maps.visit(rows, np.array(walked[-1:]))
        target = first_best(expert.frontier_costs(maps, rows))
        if detour:
            target = maps.slots_of(rows, np.array([detour.pop(0)]))
        elif maps.visit_steps[0, target[0]]:
            route = maps.routes(rows, target)[0]
            return [*walked, *route[route >= 0].tolist()]
        route = maps.routes(rows, target)
        expert.walk(rows, route)
        walked += route[0].tolist()
    raise AssertionError("the expert never stops")


def test_experts_of_a_frontier_return_to_a_goal_that_was_missed(geometry):
    world, start = geometry.world, 0
    goal = int(geometry.candidates[start][0])
    beyond = next(int(n) for n in geometry.candidates[goal] if n >= 0 and n != start)
    for kind in ("spl", "ndtw"):
        assert frontier_walk(geometry, [start, goal], kind) == [start, goal]
        walked = frontier_walk(geometry, [start, goal], kind, detour=[goal, beyond])
        assert walked[:3] == [start, goal, beyond]
        assert walked[-1] == goal
        assert len(walked) == 3 + world.distance(np.array([beyond]), np.array([goal])).size


def test_the_costs_of_a_frontier_are_the_ways_over_its_nodes_to_the_goal(geometry):
    world, rows = geometry.world, np.zeros(1, np.int64)
    path = looped_path(geometry)[:3]
    expert = Expert(world, np.array([path]), np.array([3]))
    maps = TopologicalMaps(geometry, 1)
    maps.visit(rows, np.array([0]))
    costs = expert.frontier_costs(maps, rows)[0]
    assert costs[0] == np.inf  # visited
    nodes = maps.nodes[0, 1 : len(costs)]
    start, goal = np.zeros(len(nodes), int), np.full(len(nodes), path[-1])
    expected = world.distance(start, nodes) + world.distance(nodes, goal)
    np.testing.assert_array_equal(costs[1:], expected)
    maps.visit(rows, np.array(path[-1:]))
    costs = expert.frontier_costs(maps, rows)[0]
    assert np.flatnonzero(np.isfinite(costs)).tolist() == maps.current.tolist()


def test_the_nearest_of_several_goals_is_the_target(geometry):
    world, rows = geometry.world, np.zeros(1, np.int64)
    far, *near = np.argsort(world.distance(np.zeros(len(world), int), np.arange(len(world))))[
        [-1, 4, 5]
    ].tolist()
    for kind in ("spl", "ndtw"):
        goals = np.array([[far, *near]])
        expert = Expert(world, np.array([[0, far]]), np.array([2]), kind, goals=goals)
        maps = TopologicalMaps(geometry, 1)
        here = np.zeros(1, np.int64)
        for _ in range(20):
            maps.visit(rows, here)
            tokens = maps.tokens(rows, np.array([12]))
            costs = expert.frontier_costs(maps, rows)[0]
            target = int(expert.targets(maps, rows, tokens)[0])
            if target == STOP_TOKEN:
                break
            if kind == "spl":
                slot = tokens.slots[0, target]
                chosen = maps.nodes[0, slot]
                rest = world.distance(np.full(3, chosen), goals[0]).min()
                assert costs[slot] == world.distance(here, np.array([chosen]))[0] + rest
            route = maps.routes(rows, tokens.slots[:, target])
            expert.walk(rows, route)
            here = route[0][route[0] >= 0][-1:]
        assert here[0] in goals
        if kind == "spl":
            assert here[0] in near

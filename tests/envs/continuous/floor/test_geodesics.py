"""Geodesic distances and shortest walks: golden cases, symmetry, stairs, pieces."""

import numpy as np
import pytest

from clipnav.envs.continuous.coordinates import from_habitat
from clipnav.envs.continuous.floor import ContinuousFloor


def length(path):
    return np.linalg.norm(np.diff(path, axis=0), axis=1).sum()


def test_golden_distances(continuous_golden, golden_floors):
    for case in continuous_golden["geodesics"]:
        floor = golden_floors[case["plan"]]
        start, goal = from_habitat([case["start"], case["end"]])
        distance = floor.distances(start[None], goal)[0]
        if case["distance"] is None:
            assert np.isinf(distance)
            assert len(floor.shortest_path(start, goal)) == 0
            continue
        assert distance >= case["straight"] - 1e-6
        assert abs(distance - case["distance"]) <= max(0.013 * case["distance"], 0.12)
        path = floor.shortest_path(start, goal)
        np.testing.assert_allclose(path[[0, -1]], [start, goal], atol=1e-9)
        assert length(path) <= distance + 0.05


def test_way_round_a_corner():
    floor = ContinuousFloor.of_boxes([(0, 0, 4, 1), (3, 0, 4, 4)])
    start, goal = np.array([0.5, 0.5, 0.0]), np.array([3.5, 3.5, 0.0])
    corner = np.array([3.0, 1.0, 0.0])
    exact = np.linalg.norm(start - corner) + np.linalg.norm(goal - corner)
    assert exact <= floor.distances(start[None], goal)[0] <= 1.013 * exact
    path = floor.shortest_path(start, goal)
    assert length(path) == pytest.approx(exact, abs=0.03)
    assert np.linalg.norm(path - corner, axis=1).min() < 0.1


def test_more_goals_than_the_cache_holds(random_starts):
    floor = ContinuousFloor.of_boxes([(0, 0, 2, 2)], [(0.9, 0.0, 1.1, 1.5)])
    floor._geodesics._capacity = 3
    positions, goals = random_starts(floor, 12), random_starts(floor, 12, 1)
    expected = [floor.distances(p[None], g)[0] for p, g in zip(positions, goals, strict=True)]
    np.testing.assert_array_equal(floor.distances(positions, goals), expected)


def test_stairs_join_the_storeys_in_both_directions(two_storeys, two_storey_floor):
    stairs = two_storeys.plan.stairs[0]
    foot, head = np.array(stairs.end(False, 1.0)), np.array(stairs.end(True, 1.0))
    landing = np.array(stairs.landing)
    assert two_storey_floor.contains(np.array([foot, head, landing])).all()
    up, down = (
        two_storey_floor.distances(start[None], goal)[0]
        for start, goal in ((foot, head), (head, foot))
    )
    flight = np.hypot(stairs.landing_start, (head[2] - foot[2]) / 2)
    assert up == pytest.approx(down, abs=0.05)
    assert 2 * flight + 2.0 < up < 2 * flight + 3.0  # a metre before each, the turn on the landing
    for start, goal in ((foot, head), (head, foot)):
        path = two_storey_floor.shortest_path(start, goal)
        rising = np.diff(path[:, 2]) * np.sign(goal[2] - start[2])
        assert (rising >= -1e-9).all()
        assert length(path) == pytest.approx(up, abs=0.1)
        assert landing[2] in path[:, 2]

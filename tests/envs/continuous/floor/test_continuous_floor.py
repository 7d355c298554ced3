"""Floors of houses, distances on them and movement: golden cases, closed forms and stairs."""

import numpy as np
import pytest

from clipnav.envs.continuous.coordinates import from_habitat
from clipnav.envs.continuous.floor.continuous_floor import ContinuousFloor, largest_piece
from clipnav.envs.continuous.floor.geodesics import cell_graph
from clipnav.envs.continuous.floor.grid import grid_of_mesh
from clipnav.envs.continuous.floor.navmesh import mesh_of_boxes
from clipnav.envs.houses.plan.elements import STAIRWELL


def test_projection(room):
    outside = np.array([[-0.5, 1.5, 0.7], [2.0, 3.4, 0.0], [1.0, 1.0, -2.0]])
    projected = room.project(outside)
    np.testing.assert_allclose(projected[:2], [[0, 1.5, 0], [2, 3, 0]], atol=0.03)
    assert projected[2].tolist() == [1.0, 1.0, 0.0]
    assert room.contains(projected).all()


def test_only_the_largest_piece_counts():
    boxes = [(0.0, 0.0, 4.0, 3.0), (4.5, 0.0, 5.5, 1.0), (6.0, 0.0, 6.02, 3.0)]
    mesh, others = mesh_of_boxes(boxes, [], 0.0, 0.0).parts()
    grid = grid_of_mesh(mesh, [0.0])
    floor = ContinuousFloor(mesh, grid, cell_graph(grid), others)
    inside, apart = np.array([[1.0, 1.0, 0.0]]), np.array([[5.0, 0.5, 0.0], [6.01, 1.0, 0.0]])
    assert floor.contains(inside)[0]
    assert not floor.contains(apart).any()
    np.testing.assert_allclose(floor.project(apart), [[4.0, 0.5, 0.0], [4.0, 1.0, 0.0]])


def test_a_floor_without_room_for_the_agent_is_refused():
    grid = grid_of_mesh(mesh_of_boxes([(0.0, 0.0, 0.02, 0.02)], [], 0.0, 0.0), [0.0])
    with pytest.raises(ValueError, match="no room for the agent; choose a smaller agent_radius"):
        largest_piece(grid, cell_graph(grid))


def test_rooms_of_both_storeys_are_on_the_floor(two_storeys, two_storey_floor):
    rooms = [room for room in two_storeys.plan.rooms if room.kind != STAIRWELL]
    centres = np.array([[*room.centre, room.floor] for room in rooms])
    assert two_storey_floor.contains(centres).all()
    assert np.isfinite(two_storey_floor.distances(centres, centres[0])).all()
    np.testing.assert_allclose(two_storey_floor.project(centres), centres)


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


STEP = 0.25


def forward_steps(case):
    """Yield start, heading, end and collision of each step forward of a golden walk."""
    position, turns = case["start"], 0
    ends = zip(case["actions"], case["positions"], case["collided"], strict=True)
    for action, end, collided in ends:
        if action == 1:
            yaw = case["yaw"] + turns * np.radians(case["turn_degrees"])
            yield from_habitat(position), -yaw, from_habitat(end), collided
        turns += {2: 1, 3: -1}.get(action, 0)
        position = end


@pytest.mark.parametrize("sliding", [True, False])
def test_golden_steps(continuous_golden, golden_floors, sliding):
    errors, contacts, agreements = [], [], []
    for case in continuous_golden["steps"]:
        if case["sliding"] != sliding:
            continue
        for start, heading, end, collided in forward_steps(case):
            floor = golden_floors[case["plan"]]
            moved, hit = floor.step(start[None], np.array([heading]), STEP, sliding)
            error = np.linalg.norm(moved[0] - end)
            agreements.append(hit[0] == collided)
            (contacts if collided else errors).append(error)
    # The tolerances of a grid floor in the README beside the cases.
    assert np.mean(agreements) >= 0.99
    assert max(errors) < 0.001
    assert np.quantile(contacts, 0.9) < 0.03
    assert max(contacts) < 0.18


@pytest.mark.parametrize(
    ("degrees", "length"), [(30, STEP * np.cos(np.radians(30))), (60, STEP / 2), (90, 0.0)]
)
def test_slides_along_a_wall_by_the_cosine(room, degrees, length):
    at_wall = np.array([[2.0, 0.0, 0.0]])
    heading = np.array([np.pi / 2 + np.radians(degrees)])  # east, turned towards the wall
    moved, collided = room.step(at_wall, heading, STEP, True)
    np.testing.assert_allclose(moved[0] - at_wall[0], [length, 0.0, 0.0], atol=1e-6)
    assert collided[0]


def test_a_loss_below_a_hundredth_of_a_millimetre_is_no_collision(room):
    # moved^2 + 1e-5 < wanted^2 holds from 0.24998 m on.
    start = np.array([[2.0, 0.249_99, 0.0], [2.0, 0.2499, 0.0]])
    _, collided = room.step(start, np.full(2, np.pi), STEP, False)
    assert collided.tolist() == [False, True]


@pytest.mark.parametrize("sliding", [True, False])
def test_random_walks_stay_on_the_floor(two_storey_floor, random_starts, sliding):
    rng = np.random.default_rng(3)
    positions = random_starts(two_storey_floor, 50)
    headings = rng.uniform(0, 2 * np.pi, 50)
    contacts = 0
    for _ in range(100):
        before = positions
        positions, collided = two_storey_floor.step(before, headings, STEP, sliding)
        assert two_storey_floor.contains(positions).all()
        moved = np.linalg.norm(positions - before, axis=1)
        assert moved.max() < 0.4
        assert (moved[~collided] > STEP - 1e-4).all()
        headings += np.where(collided, 2.0, rng.choice([-0.26, 0.0, 0.26], 50))
        contacts += collided.sum()
    assert contacts > 100


@pytest.mark.parametrize("sliding", [True, False])
def test_a_step_does_not_depend_on_the_batch(sliding):
    holes = [(1.0, 1.0, 1.6, 1.3), (2.4, 0.6, 2.6, 2.2), (3.1, 2.0, 3.5, 2.4)]
    floor = ContinuousFloor.of_boxes([(0.0, 0.0, 4.0, 3.0)], holes, radius=0.1)
    rng = np.random.default_rng(0)
    nodes = floor.graph.positions
    positions = floor.project(nodes[rng.integers(len(nodes), size=400)] + rng.uniform(0, 0.02, 3))
    headings = rng.uniform(0, 2 * np.pi, len(positions))
    together, _ = floor.step(positions, headings, 0.25, sliding)
    alone = [
        floor.step(positions[k : k + 1], headings[k : k + 1], 0.25, sliding)[0][0]
        for k in range(len(positions))
    ]
    np.testing.assert_array_equal(np.array(alone), together)

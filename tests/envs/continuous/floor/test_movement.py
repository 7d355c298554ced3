"""Movement on floors: against golden cases, in closed form, and never into a wall."""

import numpy as np
import pytest

from clipnav.envs.continuous.coordinates import from_habitat
from clipnav.envs.continuous.floor import ContinuousFloor

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


def test_a_step_does_not_reach_another_piece():
    floor = ContinuousFloor.of_boxes([(0, 0, 2, 2), (3, 0, 5, 2)])
    moved, collided = floor.step(np.array([[1.95, 1.0, 0.0]]), np.array([np.pi / 2]), 1.5, True)
    assert collided[0]
    assert moved[0, 0] == pytest.approx(2.0, abs=1e-6)


def test_an_agent_beside_the_floor_is_projected_first(room):
    moved, _ = room.step(np.array([[2.0, -0.3, 0.0]]), np.array([np.pi / 2]), STEP, True)
    np.testing.assert_allclose(moved, [[2.25, 0.0, 0.0]], atol=1e-6)


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

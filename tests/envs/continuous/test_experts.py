"""Experts: golden walks, their rules one by one, and every validation episode of the houses."""

import numpy as np
import pytest

from clipnav.connectivity import read_connectivity
from clipnav.envs.continuous.coordinates import from_habitat
from clipnav.envs.continuous.experts import (
    THRASHING,
    GreedyFollower,
    Teacher,
    best_turns,
    reference_walks,
)
from clipnav.envs.continuous.floor import ContinuousFloor
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.settings import (
    FORWARD,
    LEFT,
    R2R_CE,
    RIGHT,
    RXR_CE,
    STOP,
    ContinuousSettings,
)
from clipnav.envs.episodes.loading import load_episodes
from clipnav.envs.houses.building.sets import set_of
from clipnav.envs.worlds import world_files


def walk_length(positions):
    return np.linalg.norm(np.diff(np.asarray(positions, float), axis=0), axis=1).sum()


def golden_walk(case, floor, follower):
    """Return the walk of a follower in a golden case."""
    settings = ContinuousSettings(
        turn_angle=float(case["turn_degrees"]), sliding=bool(case["sliding"])
    )
    nodes = from_habitat([case["start"], case["goal"]])
    yaws = np.array([-case["yaw"]])
    return reference_walks(floor, [nodes], yaws, settings, "goal", follower)[0]


@pytest.mark.parametrize("follower", ["greedy", "compat"])
def test_golden_walks(continuous_golden, golden_floors, follower):
    # The tolerances of a grid floor in the README beside the cases; null is a walk that got stuck.
    cases = [c for c in continuous_golden["expert"] if c[f"{follower}_actions"] is not None]
    assert cases
    for case in cases:
        floor = golden_floors[case["plan"]]
        walk = golden_walk(case, floor, follower)
        goal = from_habitat(case["goal"])
        assert floor.distances(walk.positions[-1:], goal)[0] < case["goal_radius"]
        assert -2 <= len(walk.actions) - len(case[f"{follower}_actions"]) <= 4
        expected = walk_length(case[f"{follower}_locations"])
        assert walk_length(walk.positions) == pytest.approx(expected, abs=0.35)
        assert walk.is_complete


def first_turns(floor, position, heading, goal, settings=R2R_CE):
    """Return the number of turns that the follower chooses at one position."""
    positions, goals = np.array([position], float), np.array([goal], float)
    distances = floor.distances(positions, goals)
    return int(best_turns(floor, settings, positions, np.array([heading]), goals, distances)[0])


@pytest.mark.parametrize(
    ("degrees", "turns"), [(0, 0), (3, 0), (30, 2), (-30, -2), (97, 6), (-97, -6), (180, 12)]
)
def test_turns_towards_a_goal_in_sight(room, degrees, turns):
    # The goal is straight ahead of heading 0; the agent has turned clockwise by `degrees`.
    assert first_turns(room, (2, 0.5, 0), np.radians(degrees), (2, 2.5, 0)) == turns


def test_an_unreachable_goal_ends_in_stop():
    floor = ContinuousFloor.of_boxes([(0, 0, 2, 2), (3, 0, 5, 2)])
    nodes = np.array([[1.0, 1.0, 0.0], [4.0, 1.0, 0.0]])
    walk = reference_walks(floor, [nodes], np.zeros(1), R2R_CE)[0]
    assert walk.actions.tolist() == [STOP]
    assert np.isinf(walk.worst_miss)
    assert not walk.is_complete


def test_a_thrashing_follower_carries_out_a_whole_primitive(room):
    follower = GreedyFollower(1, R2R_CE)
    goal = np.array([[2.0, 2.5, 0.0]])
    position = np.array([[2.0, 0.5, 0.0]])
    # It is turned back after every action, so that it never gets to walk.
    headings = [np.radians(40.0), np.radians(-40.0)]
    actions = [
        int(follower.next_actions(room, position, np.array([headings[k % 2]]), goal)[0])
        for k in range(THRASHING + 4)
    ]
    assert actions[:THRASHING] == [LEFT, RIGHT] * (THRASHING // 2)
    assert actions[THRASHING : THRASHING + 4] == [LEFT, LEFT, LEFT, FORWARD]


def test_the_teacher_serves_agents_on_several_floors():
    floors = [ContinuousFloor.of_boxes([(0, 0, 4, 4)]), ContinuousFloor.of_boxes([(9, 0, 13, 4)])]
    teacher = Teacher(3, R2R_CE)
    starts = np.array([[1.0, 1.0, 0.0], [10.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    ways = np.array([[0.0, 2.0, 0.0], [0.0, 2.0, 0.0], [2.0, 0.0, 0.0]])
    for row, floor in enumerate((floors[0], floors[1], floors[0])):
        teacher.start(row, floor, np.stack([starts[row], starts[row] + ways[row]]))
    assert teacher.actions(starts, np.zeros(3)).tolist() == [FORWARD, FORWARD, RIGHT]
    assert teacher.actions(starts[2:], np.array([np.pi / 2]), np.array([2])).tolist() == [FORWARD]


@pytest.mark.parametrize("settings", [R2R_CE, RXR_CE], ids=["r2r", "rxr"])
def test_reaches_every_validation_episode_of_a_house(settings):
    scan = "house_32"
    records = read_connectivity(scan, set_of(scan).connectivity_dir)
    feet = {
        record["image_id"]: np.array(record["pose"]).reshape(4, 4)[:3, 3]
        - [0.0, 0.0, record["height"]]
        for record in records
    }
    episodes = [
        episode
        for episode in load_episodes("r2r", "val_unseen", world_files("houses"))
        if episode.scan == scan and episode.instr_id.endswith("_0")
    ]
    nodes = [np.array([feet[v] for v in episode.path]) for episode in episodes]
    headings = np.array([episode.heading for episode in episodes])
    floor = HouseSimulator(settings).floor(scan)
    walks = reference_walks(floor, nodes, headings, settings)
    assert len(walks) >= 40
    assert all(walk.is_complete for walk in walks)
    assert max(len(walk.actions) for walk in walks) < settings.max_episode_steps
    for walk, points in zip(walks, nodes, strict=True):
        assert floor.distances(walk.positions[-1:], points[-1])[0] < 0.5
        assert floor.contains(walk.positions).all()


def test_walks_up_and_down_stairs(two_storeys, two_storey_floor):
    stairs = two_storeys.plan.stairs[0]
    low, high = (np.array(stairs.end(upper, 1.0)) for upper in (False, True))
    up, down = reference_walks(
        two_storey_floor, [np.stack([low, high]), np.stack([high, low])], np.zeros(2), R2R_CE
    )
    for walk, start, goal in ((up, low, high), (down, high, low)):
        assert walk.is_complete
        np.testing.assert_allclose(walk.positions[0], start)
        assert np.linalg.norm(walk.positions[-1] - goal) < 0.5

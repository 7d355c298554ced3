"""Experts and planners: golden walks, published rules, and every validation episode of a house."""

import numpy as np
import pytest

from clipnav.connectivity import read_connectivity
from clipnav.envs.continuous.coordinates import from_habitat
from clipnav.envs.continuous.experts import (
    THRASHING,
    CompatFollower,
    GreedyFollower,
    best_turns,
    reference_walks,
    waypoint_actions,
)
from clipnav.envs.continuous.floor.continuous_floor import ContinuousFloor
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
    # "compat" turns where a corner lies, so that centimetres of the grid cost it more actions.
    fewer, more = {"greedy": (2, 4), "compat": (5, 5)}[follower]
    cases = [c for c in continuous_golden["expert"] if c[f"{follower}_actions"] is not None]
    assert cases
    for case in cases:
        floor = golden_floors[case["plan"]]
        walk = golden_walk(case, floor, follower)
        goal = from_habitat(case["goal"])
        assert floor.distances(walk.positions[-1:], goal)[0] < case["goal_radius"]
        assert -fewer <= len(walk.actions) - len(case[f"{follower}_actions"]) <= more
        expected = walk_length(case[f"{follower}_locations"])
        assert walk_length(walk.positions) == pytest.approx(expected, abs=0.35)
        assert walk.is_complete


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


def test_reaches_every_validation_episode_of_a_house():
    scan, settings = "house_26", RXR_CE
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


AHEAD = np.array([0.0, 0.0, -1.0])  # habitat's axes


class OneCorner:
    """Floor with one way, whose second point is a given point (3,) or missing."""

    def __init__(self, corner, distance=9.0):
        self.corner, self.distance = corner, distance

    def distances(self, positions, goals):
        return np.full(len(positions), self.distance)

    def shortest_path(self, start, goal):
        return np.empty((0, 3)) if self.corner is None else np.array([start, self.corner, goal])


def action(floor, settings=R2R_CE, heading=0.0):
    follower = CompatFollower(settings, 0.5)
    pose = np.zeros((1, 3)), np.array([heading])
    return int(follower.next_actions(floor, *pose, np.ones((1, 3)))[0])  # type: ignore[arg-type]


def product(p, q):
    """Return the product of quaternions (scalar, vector)."""
    (a, u), (b, v) = p, q
    return a * b - u @ v, a * v + b * u + np.cross(u, v)


def angle_between(p, q):
    a, v = product(p, (q[0], -q[1]))
    return 2 * np.arctan2(np.linalg.norm(v), abs(a))


def original_action(way, yaw, turn):
    """Return the action of `ShortestPathFollowerCompat` for a way (3,) in habitat's axes."""
    way = way + 1e-6 * np.cross([0.0, 1.0, 0.0], AHEAD)
    half = np.sqrt(2 * (1 + AHEAD @ (way / np.linalg.norm(way)))) / 2
    vector = np.cross(AHEAD, way / np.linalg.norm(way)) / (2 * half) * [0, 1, 1]
    norm = np.sqrt(half**2 + vector @ vector)
    wanted = half / norm, vector / norm

    def off(angle):
        return angle_between(wanted, (np.cos(angle / 2), np.array([0, np.sin(angle / 2), 0])))

    if off(yaw) <= turn + 1e-6:
        return FORWARD
    return LEFT if off(yaw + turn) < off(yaw) else RIGHT


@pytest.mark.parametrize("settings", [R2R_CE, RXR_CE], ids=["15", "30"])
@pytest.mark.parametrize("is_level", [True, False])
def test_actions_equal_the_original_rule(settings, is_level):
    rng, seen = np.random.default_rng(4), set()
    for _ in range(500):
        way, yaw = rng.normal(size=3) * [1, not is_level, 1], rng.uniform(-4, 4)
        expected = original_action(way, yaw, np.radians(settings.turn_angle))
        assert action(OneCorner(from_habitat(way)), settings, -yaw) == expected
        seen.add(expected)
    assert seen == {FORWARD, LEFT, RIGHT}


def test_stops_within_the_radius_and_walks_on_without_a_way():
    ahead = np.array([0.0, 1.0, 0.0])
    assert [action(OneCorner(ahead, d)) for d in (0.499, 0.5, 0.501)] == [STOP, STOP, FORWARD]
    assert action(OneCorner(None, np.inf)) == FORWARD


def test_a_walk_that_gets_stuck_is_given_up():
    floor = ContinuousFloor.of_boxes([(0, 0, 1, 1), (2, 0, 3, 1)])
    nodes = np.array([[0.5, 0.5, 0.0], [2.5, 0.5, 0.0]])
    (walk,) = reference_walks(
        floor, [nodes], np.zeros(1), R2R_CE, follower="compat", most_actions=20
    )
    assert walk.actions.tolist() == [FORWARD] * 20
    assert not walk.is_complete


@pytest.mark.parametrize(("follower", "turns"), [("greedy", 6), ("compat", 5)])
def test_the_teacher_of_an_environment_is_the_chosen_follower(make_box_env, follower, turns):
    env = make_box_env(1, shuffle=False, follower=follower)  # the way is 90 degrees to the right
    _, info = env.reset(seed=0)
    actions = []
    for _ in range(turns + 1):
        actions.append(int(info["teacher_action"][0]))
        *_, info = env.step(np.array(actions[-1:]))
    assert actions == [RIGHT] * turns + [FORWARD]


def original_plan(distance, theta, turn):
    """Return the plan by the rules of VLN-CE's `DiscretePathPlanner`, theta counter-clockwise.

    Headings are floats in [0, 2 pi), as there. Places are complex numbers.
    """
    count, goal = round(2 * np.pi / turn), distance * np.exp(1j * theta)
    here, facing, actions = 0j, 0.0, []
    while round(abs(here - goal), 3) > 0.13:
        headings = [facing]
        for _ in range(count - 1):
            headings.append((headings[-1] + turn) % (2 * np.pi))
        ends = here + 0.25 * np.exp(1j * np.array(headings))
        lefts = int(abs(ends - goal).argmin())
        rights = count - lefts
        actions += [RIGHT] * rights if lefts > count // 2 else [LEFT] * lefts
        actions.append(FORWARD)
        here, facing = ends[lefts], headings[lefts]
    ideal = np.angle(goal) % (2 * np.pi)
    while facing - ideal > turn / 2:
        facing -= turn
        actions.append(RIGHT)
    while ideal - facing > turn / 2:
        facing += turn
        actions.append(LEFT)
    return actions


@pytest.mark.parametrize("settings", [R2R_CE, RXR_CE], ids=["15", "30"])
def test_plans_equal_those_of_the_original(settings):
    rng, longest = np.random.default_rng(0), 0
    for _ in range(400):
        distance, theta = rng.uniform(0.25, 3), rng.uniform(0, 2 * np.pi)
        actions = waypoint_actions(distance, -theta, settings)
        assert actions == original_plan(distance, theta, np.radians(settings.turn_angle))
        longest = max(longest, actions[::-1].index(FORWARD))
    assert longest > settings.turns_per_circle // 2  # some plans turn the long way round


def test_long_steps_stop_where_no_step_comes_nearer():
    settings = ContinuousSettings(step_size=1.0, turn_angle=90.0)
    assert waypoint_actions(0.4, 0.0, settings) == []


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

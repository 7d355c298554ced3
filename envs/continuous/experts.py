"""Experts that walk on a floor: followers, the teacher built on them, and plans to waypoints.

The greedy follower has the rules of habitat-sim's `GreedyGeodesicFollower`, which made the ground
truth of R2R_VLNCE v1-3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from clipnav.envs.continuous.episodes import ContinuousEpisode, Point
from clipnav.envs.continuous.settings import (
    FORWARD,
    LEFT,
    RIGHT,
    STOP,
    ContinuousSettings,
    Follower,
)
from clipnav.envs.continuous.simulator import Floor
from clipnav.envs.graphs import wrap_angle
from clipnav.storage.processes import run_jobs
from clipnav.storage.progress import progress_bar

_EPSILON = 1e-6  # radians, and metres
GOAL_RADIUS = 0.5  # metres at which VLN-CE's expert stops
THRASHING = 16  # alternating turns after which the follower carries out a whole primitive
_TURN_COST = 0.0125
_COLLISION_COST = 0.25
_NEAR_BORDER_COST, _NEAR_BORDER = 0.05, 0.2  # cost, and metres
_WORST_REWARD, _GOOD_ENOUGH = -0.25, 0.99
_EQUAL = 1e-5  # rewards that differ by less are equal, and the first one wins
_ERROR = 127  # instead of a number of turns
PathTeacher = Literal["path", "goal"]
PathKey = tuple[str, float, tuple[Point, ...]]
_WAYPOINT_RADIUS = 0.13  # metres from a waypoint at which a plan to it ends


class CompatFollower:
    """Follower that turns towards the next corner of the shortest walk, and steps forward.

    The rules are those of VLN-CE's `ShortestPathFollowerCompat`
    (729d141, `habitat_extensions/shortest_path_follower.py`): a heading that is off by one turn is
    good enough, a slope bends the direction, and without a way the agent steps forward. It does not
    notice collisions, so it may step against a corner for ever.
    """

    def __init__(self, settings: ContinuousSettings, goal_radius: float):
        self.goal_radius = goal_radius
        self._turn = np.radians(settings.turn_angle)

    def reset(self, row: int) -> None:
        """Do nothing: an action depends on the pose only."""

    def next_actions(
        self,
        floor: Floor,
        positions: np.ndarray,
        headings: np.ndarray,
        goals: np.ndarray,
        rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the next action (N,) of agents on one floor; see `GreedyFollower`."""
        del rows
        actions = np.full(len(positions), STOP)
        walking = floor.distances(positions, goals) > self.goal_radius
        for k in np.flatnonzero(walking):
            corners = floor.shortest_path(positions[k], goals[k])
            actions[k] = self._towards(corners, headings[k]) if len(corners) > 1 else FORWARD
        return actions

    def _towards(self, corners: np.ndarray, heading: float) -> int:
        """Return the action that leads from the first corner to the second of (M, 3)."""
        x, y, z = corners[1] - corners[0]
        x -= _EPSILON  # so that the way back has a direction
        # Heading of the rotation from the axis of heading 0 to the way; its tilt is ignored.
        wanted = 2 * np.arctan2(x, np.linalg.norm([x, y, z]) + y)
        off = wrap_angle(wanted - heading)
        if abs(off) <= self._turn + _EPSILON:
            return FORWARD
        return LEFT if abs(wrap_angle(off + self._turn)) < abs(off) else RIGHT


def best_turns(
    floor: Floor,
    settings: ContinuousSettings,
    positions: np.ndarray,
    headings: np.ndarray,
    goals: np.ndarray,
    distances: np.ndarray,
) -> np.ndarray:
    """Return the number of turns (N,) before the best step forward.

    The numbers 0, 1, -1, 2, -2 ... up to half a circle are tried. The reward of a number n is the
    share of the step that brings the agent nearer, minus 0.0125 per turn, 0.25 for a collision and
    0.05 for an end less than 0.2 m from the border of the floor. The search ends at 0.99.

    Args:
        positions: (N, 3) positions.
        headings: (N,) headings in radians.
        goals: (N, 3) goals.
        distances: (N,) geodesic distances to the goals in metres.
    """
    best = np.full(len(positions), _ERROR)
    rewards = np.full(len(positions), _WORST_REWARD)
    rows = np.arange(len(positions))
    most = int(180 / settings.turn_angle + 1e-6)
    # Most searches end at the first number, nearly all others at the next few.
    for low, high in ((0, 1), (1, 4), (4, most + 1)):
        turns = [turn for n in range(low, min(high, most + 1)) for turn in ((n, -n) if n else (0,))]
        if not turns or not len(rows):
            continue
        tried = _rewards(floor, settings, positions, headings, goals, distances, rows, turns)
        is_open = np.ones(len(rows), bool)
        for k, turn in enumerate(turns):
            if turn >= 0:
                is_open &= rewards[rows] <= _GOOD_ENOUGH
            better = rows[is_open & (tried[:, k] > rewards[rows] + _EQUAL)]
            best[better] = turn
            rewards[rows] = np.where(best[rows] == turn, tried[:, k], rewards[rows])
        rows = rows[rewards[rows] <= _GOOD_ENOUGH]
    return best


def _rewards(
    floor: Floor,
    settings: ContinuousSettings,
    positions: np.ndarray,
    headings: np.ndarray,
    goals: np.ndarray,
    distances: np.ndarray,
    rows: np.ndarray,
    turns: Sequence[int],
) -> np.ndarray:
    """Return the rewards (len(rows), len(turns)) of turns before a step forward."""
    count = len(turns)
    angles = np.radians(settings.turn_angle) * np.array(turns)
    tried = (headings[rows, None] - angles).reshape(-1)
    starts, ends = positions[rows].repeat(count, axis=0), goals[rows].repeat(count, axis=0)
    reached, collided = floor.step(starts, tried, settings.step_size, settings.sliding)
    gained = distances[rows].repeat(count) - floor.distances(reached, ends)
    rewards = gained / settings.step_size - _COLLISION_COST * collided
    rewards -= _NEAR_BORDER_COST * (floor.clearance(reached) < _NEAR_BORDER)
    return rewards.reshape(-1, count) - _TURN_COST * np.abs(turns)


class GreedyFollower:
    """Follower of N agents that walks to goals by greedy steps along the geodesic distance.

    It remembers its last actions: when 16 of them are alternating turns, it carries out the best
    turns and the step after them without another choice.
    """

    def __init__(self, count: int, settings: ContinuousSettings, goal_radius: float = GOAL_RADIUS):
        self.settings, self.goal_radius = settings, goal_radius
        self._last = np.zeros((count, THRASHING), np.int8)
        self._pending: list[list[int]] = [[] for _ in range(count)]

    def reset(self, row: int) -> None:
        """Forget the actions of an agent."""
        self._last[row] = STOP
        self._pending[row] = []

    def next_actions(
        self,
        floor: Floor,
        positions: np.ndarray,
        headings: np.ndarray,
        goals: np.ndarray,
        rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the next action (N,) of agents on one floor.

        Args:
            positions: (N, 3) positions.
            headings: (N,) headings in radians.
            goals: (N, 3) goals.
            rows: (N,) numbers of the agents; None means all.
        """
        rows = np.arange(len(positions)) if rows is None else rows
        distances = floor.distances(positions, goals)
        actions = np.full(len(rows), STOP)
        waiting = np.array([bool(self._pending[row]) for row in rows], bool)
        for k in np.flatnonzero(waiting):
            actions[k] = self._pending[rows[k]].pop()
        walking = np.isfinite(distances) & (distances >= self.goal_radius) & ~waiting
        chosen = np.flatnonzero(walking)
        agents = positions[chosen], headings[chosen], goals[chosen], distances[chosen]
        turns = best_turns(floor, self.settings, *agents)
        actions[chosen] = np.where(turns == 0, FORWARD, np.where(turns > 0, LEFT, RIGHT))
        actions[chosen[turns == _ERROR]] = STOP
        last = self._last[rows[chosen]]
        alternate = (last[:, 1:] != last[:, :-1]).all(axis=1)
        thrashing = np.isin(last, (LEFT, RIGHT)).all(axis=1) & alternate
        for k in chosen[thrashing & (turns != _ERROR)]:
            turn = int(turns[np.searchsorted(chosen, k)])
            primitive = [int(actions[k])] * abs(turn) + [FORWARD]
            self._pending[rows[k]] = primitive[:0:-1]
        self._last[rows] = np.concatenate([self._last[rows, 1:], actions[:, None]], axis=1)
        return actions


class Teacher:
    """Expert of N agents, each with its own floor, that shows the way along given nodes.

    Args:
        kind: "path" visits every node in order, up to 0.5 m; "goal" takes the shortest walk to the
            last node.
    """

    def __init__(
        self,
        count: int,
        settings: ContinuousSettings,
        kind: PathTeacher = "path",
        follower: Follower = "greedy",
    ):
        if follower == "greedy":
            self._follower = GreedyFollower(count, settings)
        else:
            self._follower = CompatFollower(settings, GOAL_RADIUS)
        self._kind = kind
        self._floors: list[Floor | None] = [None] * count
        self._nodes: list[np.ndarray] = [np.empty((0, 3))] * count
        self._current = np.zeros(count, int)

    def start(self, row: int, floor: Floor, nodes: np.ndarray) -> None:
        """Begin an episode of an agent with nodes (M, 3); the last one is the goal."""
        nodes = np.asarray(nodes, float)
        self._floors[row] = floor
        self._nodes[row] = nodes if self._kind == "path" else nodes[-1:]
        self._current[row] = 0
        self._follower.reset(row)

    def pass_nodes(self, row: int, positions: np.ndarray) -> None:
        """Count the nodes that an agent has passed at positions (T, 3) since the last action."""
        floor, nodes = self._floors[row], self._nodes[row]
        while floor is not None and len(positions) and self._current[row] < len(nodes) - 1:
            near = floor.distances(positions, nodes[self._current[row]])
            passed = np.flatnonzero(near < self._follower.goal_radius)
            if not len(passed):
                break
            positions = positions[passed[0] :]
            self._current[row] += 1

    def actions(
        self, positions: np.ndarray, headings: np.ndarray, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the expert's actions (N,) for agents at positions (N, 3) with headings (N,).

        Args:
            positions: (N, 3) positions in metres.
            headings: (N,) headings in radians.
            rows: (N,) numbers of the agents; None means all.
        """
        rows = np.arange(len(positions)) if rows is None else np.asarray(rows)
        actions = np.full(len(rows), STOP)
        floors = {id(floor): floor for row in rows if (floor := self._floors[row]) is not None}
        for key, floor in floors.items():
            group = np.array([k for k, row in enumerate(rows) if id(self._floors[row]) == key])
            actions[group] = self._actions_on(floor, positions[group], headings[group], rows[group])
        return actions

    def _actions_on(
        self, floor: Floor, positions: np.ndarray, headings: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Return the actions (N,) of agents on one floor."""
        actions = np.full(len(rows), STOP)
        asking = np.arange(len(rows))
        while len(asking):
            agents = rows[asking]
            goals = np.stack([self._nodes[row][self._current[row]] for row in agents])
            follow = self._follower.next_actions
            actions[asking] = follow(floor, positions[asking], headings[asking], goals, agents)
            last = np.array([len(self._nodes[row]) - 1 for row in agents])
            # A stop at a node that is not the last one leads to the next node.
            asking = asking[(actions[asking] == STOP) & (self._current[agents] < last)]
            self._current[rows[asking]] += 1
        return actions


@dataclass(frozen=True, eq=False)
class ReferenceWalk:
    """Walk of the expert.

    Attributes:
        actions: (T,) int actions; the last one is STOP.
        positions: (F + 1, 3) start, and the position after each of the F steps forward.
        worst_miss: Largest of the nodes' distances in metres to the nearest of the positions, on
            the floor.
    """

    actions: np.ndarray
    positions: np.ndarray
    worst_miss: float

    @property
    def is_complete(self) -> bool:
        """Whether the walk passes every node within the goal radius."""
        return self.worst_miss < GOAL_RADIUS


def reference_walks(
    floor: Floor,
    nodes: Sequence[np.ndarray],
    headings: np.ndarray,
    settings: ContinuousSettings,
    kind: PathTeacher = "path",
    follower: Follower = "greedy",
    most_actions: int = 1000,
) -> list[ReferenceWalk]:
    """Return the expert's walks from the first of each agent's nodes to the last.

    Args:
        nodes: For each walk, points (M, 3); the first one is the start.
        headings: (N,) headings in radians at the start.
    """
    nodes = [np.asarray(points, float) for points in nodes]
    count, turn = len(nodes), np.radians(settings.turn_angle)
    teacher = Teacher(count, settings, kind, follower)
    for row, points in enumerate(nodes):
        teacher.start(row, floor, points)
    positions = np.array([points[0] for points in nodes]).reshape(-1, 3)
    headings, turns = np.asarray(headings, float), np.zeros(count, int)
    actions: list[list[int]] = [[] for _ in nodes]
    tracks: list[list[np.ndarray]] = [[start.copy()] for start in positions]
    rows = np.arange(count)
    for _ in range(most_actions):
        if not len(rows):
            break
        chosen = teacher.actions(positions[rows], headings[rows] + turn * turns[rows], rows)
        for row, action in zip(rows, chosen, strict=True):
            actions[row].append(int(action))
        turns[rows] += np.where(chosen == RIGHT, 1, np.where(chosen == LEFT, -1, 0))
        moving = rows[chosen == FORWARD]
        positions[moving], _ = floor.step(
            positions[moving],
            headings[moving] + turn * turns[moving],
            settings.step_size,
            settings.sliding,
        )
        for row in moving:
            tracks[row].append(positions[row].copy())
        rows = rows[chosen != STOP]
    walks = []
    for own, track, points in zip(actions, map(np.array, tracks), nodes, strict=True):
        miss = max(float(floor.distances(track, node).min()) for node in points)
        walks.append(ReferenceWalk(np.array(own), track, miss))
    return walks


def path_key(episode: ContinuousEpisode) -> PathKey:
    """Return scan, initial heading and reference path, which determine the expert's walk."""
    return episode.scan, episode.heading, episode.reference_path


def expert_walks(
    episodes: Sequence[ContinuousEpisode], settings: ContinuousSettings, workers: int = 1
) -> dict[PathKey, ReferenceWalk]:
    """Return the expert's walk along each distinct reference path; show a progress bar."""
    jobs: dict[str, list[PathKey]] = {}
    for key in dict.fromkeys(path_key(e) for e in episodes if e.has_goal):
        jobs.setdefault(key[0], []).append(key)
    walk = partial(_walk_house, settings=settings)
    if workers == 1:
        results = ((job, walk(job)) for job in jobs.values())
    else:
        results = run_jobs(walk, list(jobs.values()), workers, "computes expert walks")
    bar = progress_bar(results, total=len(jobs), desc="expert walks", unit="houses")
    return {key: walk for house, walks in bar for key, walk in zip(house, walks, strict=True)}


def _walk_house(keys: Sequence[PathKey], settings: ContinuousSettings) -> list[ReferenceWalk]:
    """Return the walks along reference paths of one house."""
    from clipnav.envs.continuous.house_simulator import HouseSimulator

    floor = HouseSimulator(settings).floor(keys[0][0])
    nodes = [np.array(path) for _, _, path in keys]
    headings = np.array([heading for _, heading, _ in keys])
    return reference_walks(floor, nodes, headings, settings)


def waypoint_actions(
    distance: float, relative_heading: float, settings: ContinuousSettings
) -> list[int]:
    """Return the turns and steps that lead an agent to a waypoint in an empty room.

    As VLN-CE's `DiscretePathPlanner`: each step has the heading, of those that turns can reach,
    that ends nearest to the waypoint, until the waypoint is at most 0.13 m away. Then the agent
    turns away from its start, as far as turns permit. As there, the last turns do not cross the
    initial heading, so that they may be more than half a circle.

    Args:
        relative_heading: Direction of the waypoint in radians, clockwise from the agent's heading.
    """
    turn, count = np.radians(settings.turn_angle), settings.turns_per_circle
    goal = distance * np.array([np.sin(relative_heading), np.cos(relative_heading)])
    actions: list[int] = []
    facing = 0.0  # radians to the left, in [0, 2 pi), with the rounding errors of the original
    while round(float(np.linalg.norm(goal)), 3) > _WAYPOINT_RADIUS:
        headings = [facing]
        for _ in range(count - 1):
            headings.append((headings[-1] + turn) % (2 * np.pi))
        steps = settings.step_size * np.stack([-np.sin(headings), np.cos(headings)], axis=1)
        remaining = np.round(np.linalg.norm(goal - steps, axis=1), 9)
        left = int(remaining.argmin())
        if remaining[left] >= np.linalg.norm(goal):
            break  # steps are too long to come nearer
        actions += [LEFT] * left if left <= count // 2 else [RIGHT] * (count - left)
        actions.append(FORWARD)
        facing, goal = headings[left], goal - steps[left]
    away = round(-relative_heading / turn, 9) % count - facing / turn
    return actions + [LEFT if away > 0 else RIGHT] * math.ceil(abs(away) - 0.5)

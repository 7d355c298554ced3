"""Walks of ETPNav between decisions: turns and steps to a place, and the way around obstacles.

ETPNav 8dec13a `vlnce_baselines/common/environments.py`: `single_step_control` and
`multi_step_control`. A walk is a generator: it yields actions and is sent the pose after each.
"""

from collections.abc import Generator, Iterable
from typing import NamedTuple

import numpy as np

from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, ContinuousSettings

_SIDE = 90.0  # degrees that an agent turns aside after a collision
_TRIED = 30.0  # degrees between the directions that it tries


class Pose(NamedTuple):
    """Where an agent is after an action.

    Attributes:
        position: (3,) point under its feet.
        heading: Radians clockwise from +y.
        collided: Whether the action was a step that an obstacle shortened.
    """

    position: np.ndarray
    heading: float
    collided: bool


Walk = Generator[int, Pose, Pose]


def walk_along(
    pose: Pose,
    places: Iterable[np.ndarray],
    settings: ContinuousSettings,
    rng: np.random.Generator | None,
) -> Walk:
    """Walk to places (3,) in turn, straight to each one; see `walk_to`."""
    for place in places:
        pose = yield from walk_to(pose, place, settings, rng)
    return pose


def walk_to(
    pose: Pose,
    place: np.ndarray,
    settings: ContinuousSettings,
    rng: np.random.Generator | None,
) -> Walk:
    """Turn to a place (3,) and step there.

    Args:
        rng: Random numbers for the side to which the agent turns after a collision; None to step on
            against the obstacle.
    """
    offset = place - pose.position
    bearing = np.degrees(np.arctan2(offset[0], offset[1]) - pose.heading)
    pose = yield from _turn(pose, bearing if offset[:2].any() else 0.0, settings)
    steps = int(np.linalg.norm(offset) / settings.step_size + 1e-9)
    for step in range(steps):
        pose = yield FORWARD
        if pose.collided and rng is not None:
            return (yield from _try_out(pose, steps - step, settings, rng))
    return pose


def _try_out(
    pose: Pose, steps: int, settings: ContinuousSettings, rng: np.random.Generator
) -> Walk:
    """Turn aside, and back by 30 degrees until a step leads on; then take the remaining steps.

    The directions reach from 90 degrees on a random side to 90 degrees on the other one, without
    the first direction, in which the agent walks on.
    """
    side = 1 if rng.random() < 0.5 else -1
    aside = 0.0  # degrees from the first direction, clockwise
    for tried in np.arange(_SIDE, -_SIDE - 1, -_TRIED):
        if not tried:
            continue
        pose = yield from _turn(pose, side * tried - aside, settings)
        aside, before = side * tried, pose.position
        pose = yield FORWARD
        if np.array_equal(pose.position, before):
            continue
        pose = yield from _turn(pose, -aside, settings)
        for _ in range(steps):
            pose = yield FORWARD
            if pose.collided:
                break
        break
    return pose


def _turn(pose: Pose, degrees: float, settings: ContinuousSettings) -> Walk:
    """Turn clockwise by an angle, rounded to whole turns; half a circle is a turn to the left."""
    circle = settings.turns_per_circle
    turns = round(-degrees / settings.turn_angle) % circle
    action = LEFT
    if 2 * turns > circle:
        action, turns = RIGHT, circle - turns
    for _ in range(turns):
        pose = yield action
    return pose

"""Non-learning baselines that put a follower's scores in context."""

import re
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from clipnav.agents.acting.rollout import STOP, Observation
from clipnav.envs.graphs import wrap_angle
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.objects import WorldObjects
from clipnav.storage.features.view_grid import STEP
from clipnav.training.streams import Stream

_SIGHT = np.deg2rad(40.0)


class TeacherAgent:
    """Agent that takes the actions of the environment's teacher: an upper bound.

    Where it stops, it points out the object to find.
    """

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Do nothing; the agent has no state."""

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Return the actions of the teacher."""
        actions = np.asarray(info["teacher_action"])[live]
        return pointing(actions, observation, info, live, lambda row, _: info["target_object"][row])


class NameAgent(TeacherAgent):
    """Agent that walks the shortest path and points out an object whose name the text contains.

    It sees no picture: it shows what the names of objects alone say about the target. Among
    several objects it takes the one with the longest name, then the first one.

    Attributes:
        language: Language of the names. Instructions in other languages do not contain them.
    """

    language = "en"

    def __init__(self, objects: WorldObjects) -> None:
        self._names = objects.names

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Return the actions of the teacher; stops point out a named object, if there is one."""
        actions = np.asarray(info["teacher_action"])[live]

        def choose(row: int, ids: np.ndarray) -> int:
            names = self._names[observation["viewpoint"][row]]
            return named_object(str(info["instruction"][row]), names)

        return pointing(actions, observation, info, live, choose)


def named_object(text: str, names: np.ndarray) -> int:
    """Return the index of the object with the longest name in a text; the first one of several.

    Args:
        names: (O,) names of the objects, "" where unknown.

    Returns:
        Index, or -1 if the text contains no name.
    """
    words = " ".join(["", *re.findall(r"[^\W_]+", text.lower()), ""])
    lengths = [len(name) if name and f" {name.lower()} " in words else 0 for name in names]
    return int(np.argmax(lengths)) if any(lengths) else -1


def pointing(
    actions: np.ndarray,
    observation: Observation,
    info: dict[str, Any],
    live: np.ndarray,
    choose: Callable[[int, np.ndarray], int],
) -> np.ndarray:
    """Return actions whose stops point out an object, if the environment has objects.

    Args:
        actions: (N,) actions of the rows `live` (N,).
        choose: Function of a row and of the ids (O,) of its objects, "" for padding, that returns
            the index of an object or -1. It is called for rows with objects that stop.
    """
    if "object_ids" not in info:
        return actions
    num_objects = info["object_ids"].shape[1]
    first = observation["action_mask"].shape[1] - num_objects  # action that points out object 0
    actions = actions.copy()
    for number in np.flatnonzero(actions == STOP).tolist():
        row = int(live[number])
        ids = info["object_ids"][row]
        chosen = choose(row, ids) if ids.size and ids[0] else -1
        actions[number] = STOP if chosen < 0 else first + chosen
    return actions


class ForwardAgent:
    """Agent that moves forward five times from its start heading, then stops.

    A move goes to the neighbour nearest to the centre of the level view ahead, among those less
    than 40 degrees to either side (the forward action of MatterSim). Without such a neighbour, the
    agent turns right by 30 degrees until there is one. Moves do not change the heading. The number
    of moves and turns is limited to 30, as in MatterSim's tasks/R2R/agent.py.
    """

    moves = 5
    patience = 30

    def __init__(self, world: NavWorld) -> None:
        self._world = world

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Face the view nearest to the start heading, after `turns`."""
        turns = self.turns(info["instr_id"])
        step = np.rint(observation["heading"][:, 0].astype(np.float64) / STEP)
        self._heading = (step + turns) * STEP  # (B,) radians
        self._moves = np.full(len(turns), self.moves)
        self._patience = self.patience - turns

    def turns(self, instr_ids: np.ndarray) -> np.ndarray:
        """Return the number (B,) of initial turns to the right by 30 degrees."""
        return np.zeros(len(instr_ids), int)

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Return the actions that move forward."""
        headings, elevations = candidate_directions(
            self._world, observation, live
        )  # (N, K) radians
        possible = observation["action_mask"][live, : headings.shape[1]].astype(bool)
        possible[:, STOP] = False
        while True:
            side = wrap_angle(headings - self._heading[live, None])
            ahead = possible & (np.abs(side) < _SIGHT)
            willing = (self._moves[live] > 0) & (self._patience[live] > 0)
            turning = live[willing & ~ahead.any(1)]
            if not turning.size:
                break
            self._heading[turning] += STEP
            self._patience[turning] -= 1
        self._moves[live] -= 1
        self._patience[live] -= 1
        offset = np.where(ahead, np.hypot(side, elevations), np.inf)
        actions = np.where(willing, offset.argmin(1), STOP)
        ids = info["instr_id"]
        return pointing(
            actions,
            observation,
            info,
            live,
            lambda row, of: self.point(ids[row], int(np.count_nonzero(of))),
        )

    def point(self, instr_id: str, count: int) -> int:
        """Return the index of the object to point out among `count` objects."""
        return 0


class RandomAgent(ForwardAgent):
    """Agent that turns to one of twelve random headings, moves forward five times, then stops.

    The random baseline of the Room-to-Room paper (Anderson et al. 2018, section 5.3; MatterSim's
    tasks/R2R/agent.py). Heading and object depend on seed and instruction id, not on the order of
    the episodes.
    """

    def __init__(self, world: NavWorld, seed: int = 0) -> None:
        super().__init__(world)
        self._seed = seed

    def turns(self, instr_ids: np.ndarray) -> np.ndarray:
        """Return a random number (B,) of turns in 0..11."""
        return np.array([self._rng(instr_id).integers(12) for instr_id in instr_ids], int)

    def point(self, instr_id: str, count: int) -> int:
        """Return a random index of an object."""
        return int(self._rng(f"{instr_id} object").integers(count))

    def _rng(self, name: str) -> np.random.Generator:
        return Stream.RANDOM_BASELINE.rng(self._seed, zlib.crc32(str(name).encode()))


def candidate_directions(
    world: NavWorld, observation: Observation, live: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return headings and elevations (N, K) in radians of the candidates of rows `live` (N,)."""
    # Angles of the world are relative to one of twelve headings; heading 0 gives absolute angles.
    four = world.angles[observation["viewpoint"][live], 0].astype(np.float64)  # (N, K, 4)
    return np.arctan2(four[..., 0], four[..., 1]), np.arctan2(four[..., 2], four[..., 3])

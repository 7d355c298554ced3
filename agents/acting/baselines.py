"""Agents that learn nothing: they say what a follower's numbers are worth."""

import zlib
from typing import Any

import numpy as np

from agents.acting.rollout import STOP, Observation
from envs.graphs.nav_world import NavWorld
from storage.features.view_grid import STEP

_RANDOM = 11
_SIGHT = np.deg2rad(40.0)


class TeacherAgent:
    """Walks the way that the environment's teacher shows: the best that can be done."""

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Nothing to prepare."""

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Do as the teacher does."""
        return np.asarray(info["teacher_action"])[live]


class ForwardAgent:
    """Walks five moves straight ahead from its start heading, then stops.

    One move takes the neighbour nearest to the middle of the level view ahead, of those less than
    40 degrees to its side (going forward in MatterSim's action space); where there is none, the
    agent turns right by 30 degrees until there is one. Moving does not change its heading. Moves
    and turns together are at most 30, as in MatterSim's tasks/R2R/agent.py.
    """

    moves = 5
    patience = 30

    def __init__(self, world: NavWorld) -> None:
        self._world = world

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Face the view nearest to the start heading, turned by `turns`."""
        turns = self.turns(info["instr_id"])
        step = np.rint(observation["heading"].astype(np.float64) / STEP)
        self._heading = (step + turns) * STEP  # (B,) radians
        self._moves = np.full(len(turns), self.moves)
        self._patience = self.patience - turns

    def turns(self, instr_ids: np.ndarray) -> np.ndarray:
        """Turns to the right by 30 degrees (B,) with which each episode begins."""
        return np.zeros(len(instr_ids), int)

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Take the neighbour straight ahead."""
        headings, elevations = candidate_directions(
            self._world, observation, live
        )  # (N, K) radians
        possible = observation["action_mask"][live].astype(bool)
        possible[:, STOP] = False
        while True:
            side = (headings - self._heading[live, None] + np.pi) % (2 * np.pi) - np.pi
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
        return np.where(willing, offset.argmin(1), STOP)


class RandomAgent(ForwardAgent):
    """Turns to a random heading of twelve, walks five moves straight ahead, stops.

    The random baseline of the Room-to-Room paper (Anderson et al. 2018, section 5.3; MatterSim's
    tasks/R2R/agent.py). The heading depends on seed and instruction id, not on their order.
    """

    def __init__(self, world: NavWorld, seed: int = 0) -> None:
        super().__init__(world)
        self._seed = seed

    def turns(self, instr_ids: np.ndarray) -> np.ndarray:
        """A draw of 0..11 per episode."""
        return np.array([self._draw(str(instr_id)) for instr_id in instr_ids], int)

    def _draw(self, instr_id: str) -> int:
        key = zlib.crc32(instr_id.encode())
        return int(np.random.default_rng([self._seed, _RANDOM, key]).integers(12))


def candidate_directions(
    world: NavWorld, observation: Observation, live: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Headings and elevations (N, K) in radians of the candidates of the rows `live` (N,)."""
    # The world's angles are relative to one of twelve headings; heading 0 makes them absolute.
    four = world.angles[observation["viewpoint"][live], 0].astype(np.float64)  # (N, K, 4)
    return np.arctan2(four[..., 0], four[..., 1]), np.arctan2(four[..., 2], four[..., 3])

"""Non-learning baselines that put a follower's scores in context."""

import zlib
from typing import Any

import numpy as np

from clipnav.agents.acting.rollout import STOP, Observation
from clipnav.envs.graphs import wrap_angle
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.storage.features.view_grid import STEP
from clipnav.training.streams import Stream

_SIGHT = np.deg2rad(40.0)


class TeacherAgent:
    """Agent that takes the actions of the environment's teacher: an upper bound."""

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Do nothing; the agent has no state."""

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Return the actions of the teacher."""
        return np.asarray(info["teacher_action"])[live]


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
        possible = observation["action_mask"][live].astype(bool)
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
        return np.where(willing, offset.argmin(1), STOP)


class RandomAgent(ForwardAgent):
    """Agent that turns to one of twelve random headings, moves forward five times, then stops.

    The random baseline of the Room-to-Room paper (Anderson et al. 2018, section 5.3; MatterSim's
    tasks/R2R/agent.py). The heading depends on seed and instruction id, not on the episode order.
    """

    def __init__(self, world: NavWorld, seed: int = 0) -> None:
        super().__init__(world)
        self._seed = seed

    def turns(self, instr_ids: np.ndarray) -> np.ndarray:
        """Return a random number (B,) of turns in 0..11."""
        return np.array([self._draw(str(instr_id)) for instr_id in instr_ids], int)

    def _draw(self, instr_id: str) -> int:
        key = zlib.crc32(instr_id.encode())
        return int(Stream.RANDOM_BASELINE.rng(self._seed, key).integers(12))


def candidate_directions(
    world: NavWorld, observation: Observation, live: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return headings and elevations (N, K) in radians of the candidates of rows `live` (N,)."""
    # Angles of the world are relative to one of twelve headings; heading 0 gives absolute angles.
    four = world.angles[observation["viewpoint"][live], 0].astype(np.float64)  # (N, K, 4)
    return np.arctan2(four[..., 0], four[..., 1]), np.arctan2(four[..., 2], four[..., 3])

"""Agents without learning, written as another package would write them: --agent MODULE:NAME."""

from typing import Any

import numpy as np

from clipnav.agents.acting.rollout import STOP, Agent
from clipnav.bench.entrants import BenchTask
from clipnav.envs.base.vector_env import Observation

_MOVES = 5
_SIGHT = np.deg2rad(40.0)


class StraightAgent:
    """Agent that goes straight on five times from a heading, and turns where it cannot."""

    def __init__(self, task: BenchTask, rng: np.random.Generator | None) -> None:
        self._angles = task.angle_feature_size
        self._rng = rng

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Choose the heading, the one at the start without a random generator."""
        size = len(observation["heading"])
        turns = np.zeros(size) if self._rng is None else self._rng.integers(12, size=size)
        self._turn = turns * np.deg2rad(30.0)  # (B,) from the heading of the agent
        self._moves = np.zeros(size, int)

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Return the candidate nearest to straight ahead, else the next one to the right."""
        features = observation["candidates"][live, :, -self._angles :]  # (N, K, A)
        heading = np.arctan2(features[..., 0], features[..., 1]) - self._turn[live, None]
        side = np.mod(heading + np.pi, 2 * np.pi) - np.pi
        possible = observation["action_mask"][live, : features.shape[1]].astype(bool)
        possible[:, STOP] = False
        ahead = possible & (np.abs(side) < _SIGHT)
        # Behind everything ahead come the others, clockwise.
        cost = np.where(ahead, np.abs(side), 10 + np.mod(side, 2 * np.pi))
        cost[~possible] = np.inf
        self._moves[live] += 1
        self._turn[live] = 0.0  # a move faces the view that showed its goal
        goes_on = (self._moves[live] <= _MOVES) & possible.any(1)
        return np.where(goes_on, cost.argmin(1), STOP)


def forward(task: BenchTask, seed: int) -> Agent:
    """Return an agent that goes straight on from its first heading."""
    return StraightAgent(task, None)


def random(task: BenchTask, seed: int) -> Agent:
    """Return an agent that goes straight on from a random heading."""
    return StraightAgent(task, np.random.default_rng(seed))

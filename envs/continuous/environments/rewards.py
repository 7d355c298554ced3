"""Rewards of continuous environments."""

from collections.abc import Sequence

import numpy as np

from clipnav.envs.continuous.settings import ContinuousSettings
from clipnav.envs.metrics.path_scores import next_dtw_rows
from clipnav.envs.navigation.rewards import distance_rewards, ndtw_rewards


def progress_rewards(
    before: np.ndarray, after: np.ndarray, stop: np.ndarray, settings: ContinuousSettings
) -> np.ndarray:
    """Return the rewards of VLN-CE's WaypointReward for steps of fixed length.

    An action gives the metres by which the distance to the goal decreases plus the slack reward; a
    stop nearer to the goal than the success distance also gives the success reward. A decrease that
    is not finite, because the goal is unreachable, counts as -1.

    Args:
        before: (B,) distance to the goal before the step in metres.
        after: (B,) distance to the goal after the step in metres.
        stop: (B,) bool, agents that stop.

    Returns:
        (B,) rewards.
    """
    with np.errstate(invalid="ignore"):  # inf - inf
        decrease = before - after
    decrease = np.where(np.isfinite(decrease), decrease, -1.0)
    success = stop & (after < settings.success_distance)
    return decrease + settings.slack_reward + settings.success_reward * success


class RunningDtw:
    """nDTW of the walks of B agents, updated at each step.

    Positions that equal the one before as float32 do not count, as in VLN-CE.
    """

    def __init__(self, num_agents: int, scale: float) -> None:
        """Allocate the tables."""
        self._scale = scale
        self._references = np.zeros((1, num_agents, 3))
        self._rows = np.zeros((1, num_agents))  # last rows of the tables of time warping
        self._sizes = np.ones(num_agents, np.int64)
        self._positions = np.zeros((num_agents, 3), np.float32)
        self._agents = np.arange(num_agents)

    def start(
        self, agents: np.ndarray, references: Sequence[np.ndarray], positions: np.ndarray
    ) -> None:
        """Start the walks of agents (M,) at positions (M, 3) with their references (G, 3)."""
        longest = max(map(len, references))
        if longest > len(self._rows):
            grown = np.zeros((longest, *self._references.shape[1:]))
            grown[: len(self._rows)] = self._references
            rows = np.zeros((longest, len(self._agents)))
            rows[: len(self._rows)] = self._rows
            self._references, self._rows = grown, rows
        for agent, reference in zip(agents, references, strict=True):
            self._references[: len(reference), agent] = reference
            self._references[len(reference) :, agent] = reference[-1]
            self._sizes[agent] = len(reference)
        self._positions[agents] = positions
        between = np.linalg.norm(self._references[:, agents] - positions, axis=2)
        self._rows[:, agents] = between.cumsum(axis=0)

    def step(self, positions: np.ndarray) -> None:
        """Append the positions (B, 3) of the agents after a step."""
        single = positions.astype(np.float32)
        moved = (single != self._positions).any(axis=1)
        self._positions = single
        between = np.linalg.norm(self._references - positions, axis=2)
        np.copyto(self._rows, next_dtw_rows(self._rows, between), where=moved)

    def values(self) -> np.ndarray:
        """Return the (B,) nDTW of the walks so far."""
        dtw = self._rows[self._sizes - 1, self._agents]
        return np.exp(-dtw / (self._scale * self._sizes))


def step_rewards(
    before: np.ndarray,
    after: np.ndarray,
    stop: np.ndarray,
    settings: ContinuousSettings,
    ndtw: tuple[np.ndarray, np.ndarray] | None,
) -> np.ndarray:
    """Return the rewards of a step.

    Args:
        before: (B,) distance to the goal before the step in metres.
        after: (B,) distance to the goal after the step in metres.
        stop: (B,) bool, agents that stop.
        ndtw: (B,) nDTW before and after the step, for the reward "ndtw".
    """
    if settings.reward == "progress":
        return progress_rewards(before, after, stop, settings)
    with np.errstate(invalid="ignore"):
        if ndtw is None:
            rewards = distance_rewards(before, after, stop, settings.success_distance)
        else:
            rewards = ndtw_rewards(before, after, stop, *ndtw, settings.success_distance)
    # The sign of a change is undefined where the goal is unreachable.
    return np.where(np.isnan(rewards), 0.0, rewards)

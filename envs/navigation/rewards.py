"""Rewards: for nearing the goal, and for keeping to the path that the instruction describes."""

from typing import Literal

import numpy as np

from envs.metrics import SUCCESS_THRESHOLD

Reward = Literal["distance", "ndtw"]

STOP_REWARD = 2.0
_MISS_RADIUS = 1.0  # metres


def distance_rewards(before: np.ndarray, after: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """EnvDrop's rewards (`r2r_src/agent.py: rollout`).

    A move gives +1 if it shortens the way to the goal, -1 if it lengthens it, and 0 where EnvDrop
    raises an error, if it does neither. Stopping gives +2 less than 3 m from the goal, else -2.

    Args:
        before: (B,) metres to the goal before the step.
        after: (B,) metres to the goal after it.
        stop: (B,) bool, who stops.

    Returns:
        (B,) rewards, NaN where distances are.
    """
    stopped = np.where(after < SUCCESS_THRESHOLD, STOP_REWARD, -STOP_REWARD)
    return np.where(stop, stopped, np.sign(before - after))


def ndtw_rewards(
    before: np.ndarray,
    after: np.ndarray,
    stop: np.ndarray,
    ndtw_before: np.ndarray,
    ndtw_after: np.ndarray,
) -> np.ndarray:
    """Rewards of CLEAR and HAMT (`r2r_src/agent.py`, `finetune_src/r2r/agent_cmt.py: rollout`).

    To EnvDrop's reward a move adds what it gains in nDTW, a stop less than 3 m from the goal twice
    the nDTW of the whole path. Leaving a place d <= 1 m from the goal costs 2 * (1 - d) more.

    Args:
        before: (B,) metres to the goal before the step.
        after: (B,) metres to the goal after it.
        stop: (B,) bool, who stops.
        ndtw_before: (B,) nDTW of the path before the step.
        ndtw_after: (B,) nDTW of the path after it.

    Returns:
        (B,) rewards, NaN where distances are.
    """
    success = stop & (after < SUCCESS_THRESHOLD)
    fidelity = np.where(success, 2 * ndtw_after, np.where(stop, 0.0, ndtw_after - ndtw_before))
    missed = ~stop & (before <= _MISS_RADIUS) & (after > before)
    penalty = np.where(missed, 2 * (_MISS_RADIUS - before), 0.0)
    return distance_rewards(before, after, stop) + fidelity - penalty

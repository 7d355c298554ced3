"""Rewards of reinforcement learning in the discrete environment.

`Walks.step` in `clipnav.envs.navigation.walks` calls these functions after each action; `reward` of
`EnvSettings` and of the agents' settings selects one. The continuous environment uses them too, and
defines one more, "progress".
"""

from typing import Literal

import numpy as np

from clipnav.envs.metrics import SUCCESS_THRESHOLD

Reward = Literal["distance", "ndtw"]

SUCCESS_REWARD = 2.0  # stop within the success radius of the goal
MISSED_STOP_REWARD = -2.0  # stop outside of it
_MISS_RADIUS = 1.0  # metres


def distance_rewards(
    before: np.ndarray,
    after: np.ndarray,
    stop: np.ndarray,
    threshold: float | np.ndarray = SUCCESS_THRESHOLD,
) -> np.ndarray:
    """Return EnvDrop's rewards (`r2r_src/agent.py: rollout`).

    A move gives +1 if it shortens the distance to the goal, -1 if it lengthens it, and 0 if it does
    neither, where EnvDrop raises an error. Stopping gives +2 nearer to the goal than the threshold,
    otherwise -2.

    Args:
        before: (B,) distance to the goal before the step in metres.
        after: (B,) distance to the goal after the step in metres.
        stop: (B,) bool, agents that stop.
        threshold: Success radius in metres, of all agents or (B,) of each.

    Returns:
        (B,) rewards, NaN where the distances are NaN.
    """
    stopped = np.where(after < threshold, SUCCESS_REWARD, MISSED_STOP_REWARD)
    return np.where(stop, stopped, np.sign(before - after))


def distance_reward(before: float, after: float, stop: bool) -> float:
    """Return `distance_rewards` of one agent, on plain numbers for the environment of one agent."""
    if stop:
        return SUCCESS_REWARD if after < SUCCESS_THRESHOLD else MISSED_STOP_REWARD
    return float((before > after) - (before < after))


def ndtw_rewards(
    before: np.ndarray,
    after: np.ndarray,
    stop: np.ndarray,
    ndtw_before: np.ndarray,
    ndtw_after: np.ndarray,
    threshold: float | np.ndarray = SUCCESS_THRESHOLD,
) -> np.ndarray:
    """Return the rewards of CLEAR and HAMT.

    Sources: `r2r_src/agent.py` and `finetune_src/r2r/agent_cmt.py: rollout`. A move adds its gain
    in nDTW to EnvDrop's reward; a stop nearer to the goal than the threshold adds twice the nDTW of
    the whole path. A move away from the goal that starts d <= 1 m from it costs 2 * (1 - d) more.

    Args:
        before: (B,) distance to the goal before the step in metres.
        after: (B,) distance to the goal after the step in metres.
        stop: (B,) bool, agents that stop.
        ndtw_before: (B,) nDTW of the path before the step.
        ndtw_after: (B,) nDTW of the path after the step.
        threshold: Success radius in metres, of all agents or (B,) of each.

    Returns:
        (B,) rewards, NaN where the distances are NaN.
    """
    success = stop & (after < threshold)
    fidelity = np.where(success, 2 * ndtw_after, np.where(stop, 0.0, ndtw_after - ndtw_before))
    missed = ~stop & (before <= _MISS_RADIUS) & (after > before)
    penalty = np.where(missed, 2 * (_MISS_RADIUS - before), 0.0)
    return distance_rewards(before, after, stop, threshold) + fidelity - penalty

"""Rollouts of agents in a vector environment.

All episodes of a batch start at the same time. Agents observe and decide for live rows only, so
that nothing is computed for episodes that have ended.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from clipnav.envs.base.infos import check_loaded_for, start_episodes
from clipnav.envs.base.vector_env import Observation
from clipnav.envs.navigation.vector_env import VlnVectorEnv

STOP = 0


class Agent(Protocol):
    """Interface of agents in a vector environment.

    Observation and info are those of all rows of the batch. `live` (N,) contains the indices of the
    rows whose episodes have not ended, in increasing order; a row that has ended is not in `live`
    before the next `begin`. The agent keeps its own state between the calls.
    """

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Start new episodes in the rows `live` of the batch."""
        ...

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Return actions (N,) for the rows `live` (N,), in their order; 0 stops."""
        ...


@runtime_checkable
class SegmentAgent(Agent, Protocol):
    """Agent that also walks to its end in segments of several steps each."""

    def segments(self, env: VlnVectorEnv, instr_ids: Sequence[str]) -> Iterable[object]:
        """Walk episodes to their end, a segment at a time, to the trajectories of `walk`."""
        ...


class RolloutResult(NamedTuple):
    """Rewards and end of a batch of walks.

    Attributes:
        rewards: Rewards (N,) of the live rows, for each step.
        cut: (C,) rows that were truncated.
        observation: Last observation of all rows.
    """

    rewards: list[np.ndarray]
    cut: np.ndarray
    observation: Observation


def walk(
    env: VlnVectorEnv, agent: Agent, instr_ids: Sequence[str], max_steps: int | None = None
) -> RolloutResult:
    """Walk episodes to their end.

    `env.trajectories()`, `env.paths()` and `env.metrics()` then describe the walks, in the order of
    `instr_ids`. If these are fewer than `env.num_envs`, ignore the remaining rows, whose agents
    stand at the start of the first episode.

    Args:
        env: Environment without autoreset (`AutoresetMode.DISABLED`).
        agent: Agent that chooses the actions.
        instr_ids: Episodes, at most `env.num_envs`, one for each row of the environment.
        max_steps: Maximum number of actions; that of the environment by default.

    Raises:
        TypeError, UserError: The environment or the number of episodes does not fit, see
            `check_loaded_for` and `start_episodes`.
    """
    check_loaded_for(env, agent)
    observation, info, live = start_episodes(env, instr_ids)
    agent.begin(observation, info, live)
    rewards = []
    stopped = np.zeros(env.num_envs, bool)
    for _ in range(max_steps or env.max_episode_steps):
        actions = np.full(env.num_envs, STOP)
        actions[live] = agent.act(observation, info, live)
        observation, reward, stopped, truncated, info = env.step(actions)
        rewards.append(reward[live])
        live = live[~stopped[live]]
        if truncated[live].any() or not live.size:
            break
    return RolloutResult(rewards, live, observation)


def walk_to_ends(env: VlnVectorEnv, agent: Agent, instr_ids: Sequence[str]) -> None:
    """Walk episodes to their end, in segments if the agent can, for trajectories only."""
    if isinstance(agent, SegmentAgent):
        for _ in agent.segments(env, instr_ids):
            pass
    else:
        walk(env, agent, instr_ids)

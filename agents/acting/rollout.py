"""Walking agents through a vector environment.

Episodes of a batch start together. One that has ended leaves the batch: agents see and decide for
live rows only, so nothing is computed for episodes that are over.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from envs.navigation.vector_env import VlnVectorEnv

Observation = dict[str, np.ndarray]

STOP = 0


class Agent(Protocol):
    """Something that walks episodes of a vector environment."""

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Take up new episodes: the rows `live` of the batch."""
        ...

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Choose actions (N,) for the rows `live` (N,), in their order; 0 stops."""
        ...


class Walked(NamedTuple):
    """What the environment said to a batch of walks.

    Attributes:
        rewards: per step the rewards (N,) of the rows that were live.
        cut: (C,) rows that were still under way at the end.
        observation: of all rows at the end.
    """

    rewards: list[np.ndarray]
    cut: np.ndarray
    observation: Observation


def walk(
    env: VlnVectorEnv, agent: Agent, instr_ids: Sequence[str], max_steps: int | None = None
) -> Walked:
    """Let an agent walk episodes to their end; `env.trajectories()` then tells where it went.

    Args:
        env: Environment without autoreset (`AutoresetMode.DISABLED`).
        agent: Who chooses.
        instr_ids: Episodes, at most `env.num_envs`; row i of the environment walks the i-th.
        max_steps: Stop here even where the environment would go on.
    """
    spare = env.num_envs - len(instr_ids)
    if spare < 0:
        raise ValueError(f"{len(instr_ids)} episodes for {env.num_envs} environments")
    padded = [*instr_ids, *[instr_ids[0]] * spare]
    observation, info = env.reset(options={"episode_ids": padded})
    live = np.arange(len(instr_ids))
    agent.begin(observation, info, live)
    rewards = []
    stopped = np.zeros(env.num_envs, bool)
    for _ in range(max_steps or env.max_episode_steps):
        actions = np.full(env.num_envs, STOP)
        actions[live] = agent.act(observation, info, live)
        observation, gained, stopped, truncated, info = env.step(actions)
        rewards.append(gained[live])
        live = live[~stopped[live]]
        if truncated[live].any() or not live.size:
            break
    return Walked(rewards, live, observation)

"""SingleAgentEnv: one agent, computed by a vector environment of size one."""

import operator
import sys
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from clipnav.envs.base.infos import LazyInfo, only_agent_info
from clipnav.envs.base.vector_env import BatchEnv, Observation
from clipnav.storage.errors import UserError

# With a spec, Gymnasium's TimeLimit truncates instead of the core.
_UNLIMITED = sys.maxsize


class SingleAgentEnv(gym.Env):
    """Environment of the only agent of a vector environment.

    Attributes:
        core: The vector environment.
    """

    def __init__(self, core: BatchEnv) -> None:
        self.core = core
        self.render_mode = core.render_mode
        self.action_space = core.single_action_space
        self.observation_space = core.single_observation_space
        self._max_episode_steps = core.max_episode_steps

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, LazyInfo]:
        """Start an episode."""
        super().reset(seed=seed)
        if unknown := sorted(set(options or {}) - {"episode_id"}):
            raise UserError(
                "the only option of an environment with one agent is 'episode_id', the instr_id of "
                f"an episode, not {unknown}; environments with several agents "
                "(gymnasium.make_vec) take 'episode_ids' and 'reset_mask'"
            )
        chosen = {"episode_ids": [options["episode_id"]]} if options else None
        self.core.sampler.seed([seed])
        self.core.sampler.draw_from(self.np_random)
        self.core.max_episode_steps = self._max_episode_steps if self.spec is None else _UNLIMITED
        observation, info = self.core.reset(options=chosen)
        return self._only(observation), only_agent_info(info, self._lazy_metrics())

    def step(self, action: int) -> tuple[Observation, float, bool, bool, LazyInfo]:
        """Take an action."""
        walks = self.core.walks
        if walks.terminated[0] or walks.truncated[0]:
            raise gym.error.ResetNeeded("the episode has ended: reset the environment")
        try:
            number = operator.index(action)
        except TypeError as error:
            last = self.core.num_actions - 1
            raise UserError(f"action {action!r} is not an integer in 0..{last}") from error
        observation, reward, terminated, truncated, info = self.core.step(np.array([number]))
        return (
            self._only(observation),
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            only_agent_info(info, self._lazy_metrics()),
        )

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """Return the (H, W, 3) uint8 RGB frame of the vector environment, or None."""
        frames = self.core.render()
        return None if frames is None else frames[0]

    def action_masks(self) -> np.ndarray:
        """Return (A,) bool, True for valid actions, as sb3-contrib's MaskablePPO expects."""
        return self.core.action_masks()[0]

    def _only(self, observation: Observation) -> Observation:
        """Return the observation of the only agent, whose integers are `np.int64`."""
        return {name: values[0] for name, values in observation.items()}

    def _lazy_metrics(self) -> Callable[[], dict[str, float]] | None:
        """Return a function that computes the metrics of the path so far; None for secret goals."""
        raise NotImplementedError

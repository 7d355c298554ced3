"""BatchEnv: what all vector environments with a batch of agents share."""

from collections.abc import Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from clipnav.envs.arguments import action_array, whole_number
from clipnav.envs.base import agent_attributes
from clipnav.envs.base.episode_sampler import EpisodeSampler, reset_options
from clipnav.envs.base.infos import LazyInfo, finals
from clipnav.storage.errors import UserError

Observation = dict[str, np.ndarray]


class WalkFlags(Protocol):
    """Which of B agents have ended their episode, each (B,) bool.

    Attributes:
        terminated: Whether the agent has stopped.
        truncated: Whether the episode was truncated.
        ended_now: Whether the episode ended with the last step.
    """

    terminated: np.ndarray
    truncated: np.ndarray
    ended_now: np.ndarray


class BatchEnv(VectorEnv):
    """Vector environment that computes B agents together: resets, autoreset and attributes.

    A subclass defines `walks` and the five methods that raise NotImplementedError here.

    Attributes:
        num_envs: Number of agents B.
        num_actions: Number of actions of each agent.
        sampler: Draws the episodes of the agents.
        max_episode_steps: Number of actions after which an episode is truncated.
        is_reset: Whether `reset` has been called.
    """

    def __init__(
        self,
        num_envs: int,
        autoreset_mode: AutoresetMode | str,
        instr_ids: Sequence[str],
        shuffle: bool,
        max_episode_steps: int,
        other_ids: Sequence[str] = (),
    ) -> None:
        """Prepare a batch of agents."""
        if not instr_ids:
            raise UserError("the split has no episodes; an environment needs at least one")
        if autoreset_mode not in {*AutoresetMode, *(mode.value for mode in AutoresetMode)}:
            known = ", ".join(mode.value for mode in AutoresetMode)
            raise UserError(f"autoreset_mode {autoreset_mode!r} is not one of {known}")
        self.num_envs = whole_number("num_envs", num_envs)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.max_episode_steps = max_episode_steps
        self.sampler = EpisodeSampler(instr_ids, self.num_envs, shuffle, other_ids)
        self.is_reset = False

    @property
    def walks(self) -> WalkFlags:
        """State of the agents."""
        raise NotImplementedError

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, LazyInfo]:
        """Start episodes.

        Args:
            seed: Random seed; agent i draws the same episodes as a single environment with seed
                `seed + i`. A sequence contains one seed per agent. Agents that `reset_mask`
                excludes keep their random generators.
            options: `episode_ids`, one `instr_id` per agent; `reset_mask`, (B,) bool, agents to
                restart while the others continue.
        """
        agents, episode_ids = reset_options(options, self.num_envs)
        if len(agents) < self.num_envs:
            self._check_reset("reset all agents once before resetting some of them")
        if isinstance(seed, int | np.integer):
            super().reset(seed=int(seed))
        self.sampler.seed(seed, agents)
        if episode_ids is None:
            self._start(agents, self.sampler.draw(agents))
        else:
            self._start(agents, self.sampler.find(agents, episode_ids))
        self.is_reset = True
        return self._observe(), self._info()

    def step(
        self, actions: np.ndarray
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, LazyInfo]:
        """Take one action per agent.

        Args:
            actions: (B,) integers of the action space.

        Returns:
            Observations, rewards (B,) float64, terminated (B,), truncated (B,) and info.
        """
        self._check_reset("reset the environment before the first step")
        actions = action_array(actions, self.num_envs, self.num_actions)
        walks = self.walks
        over = np.flatnonzero(walks.terminated | walks.truncated)
        rewards = self._act(actions)
        ended = np.flatnonzero(walks.ended_now)
        if self.autoreset_mode is AutoresetMode.NEXT_STEP and over.size:
            self._start(over, self.sampler.draw(over))
        terminated, truncated = walks.terminated.copy(), walks.truncated.copy()
        observation, info = self._observe(), self._info()
        if ended.size:
            self._add_metrics(info, ended)
        if self.autoreset_mode is AutoresetMode.SAME_STEP and ended.size:
            last = finals(observation, info, walks.ended_now)
            self._start(ended, self.sampler.draw(ended))
            observation, info = self._observe(), self._info()
            info.update(last)
        return observation, rewards, terminated, truncated, info

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return the results of a method, or the values of an attribute, of the B agents.

        `name` is a method or attribute of an environment with one agent, see `agent_attributes`.
        """
        return agent_attributes.call(self, name, *args, **kwargs)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return the values of an attribute of the B agents, see `call`."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set `np_random` or `max_episode_steps` of the agents, see `agent_attributes`."""
        agent_attributes.set_attribute(self, name, values)

    def action_masks(self) -> np.ndarray:
        """Return (B, A) bool, True where an action is valid, for algorithms that mask actions."""
        raise NotImplementedError

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return one (H, W, 3) uint8 RGB frame per agent, or None without a render mode."""
        raise NotImplementedError

    def current_episodes(self) -> Sequence[Any]:
        """Return the episode of each agent."""
        raise NotImplementedError

    def _start(self, agents: np.ndarray, episodes: np.ndarray) -> None:
        """Start the episodes with the indices `episodes` (M,) of agents (M,)."""
        raise NotImplementedError

    def _act(self, actions: np.ndarray) -> np.ndarray:
        """Apply actions (B,) and return the rewards (B,)."""
        raise NotImplementedError

    def _observe(self) -> Observation:
        """Return the observations of the agents."""
        raise NotImplementedError

    def _info(self) -> LazyInfo:
        """Return the info of the agents."""
        raise NotImplementedError

    def _add_metrics(self, info: LazyInfo, ended: np.ndarray) -> None:
        """Add the metrics of the agents `ended` (M,) whose goal is known to an info."""
        raise NotImplementedError

    def _check_reset(self, remedy: str) -> None:
        if not self.is_reset:
            raise gym.error.ResetNeeded(remedy)

    def _set_spaces(self, actions: int, observation: gym.spaces.Space[Any]) -> None:
        """Set the spaces of one agent with `actions` actions, and those of the batch."""
        self.num_actions = actions
        self.single_action_space = gym.spaces.Discrete(actions)
        self.single_observation_space = observation
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

"""BatchEnv: what all vector environments with a batch of agents share."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from clipnav.envs.arguments import action_array, whole_number
from clipnav.envs.base.infos import LazyInfo, finals, scattered
from clipnav.storage.errors import UserError

# With a spec, Gymnasium's TimeLimit truncates instead of the core.
_UNLIMITED = sys.maxsize
# Number of draws per call of a generator: one call costs as much as a hundred draws.
_AHEAD = 256
Observation = dict[str, np.ndarray]
_METHODS: dict[str, Callable[[Any], Sequence[Any]]] = {
    "action_masks": lambda env: list(env.action_masks()),
    "render": lambda env: env.render() or [None] * env.num_envs,
}
_OWN: dict[str, Callable[[Any], Sequence[Any]]] = {
    "episode": lambda env: env.current_episodes(),
    "np_random": lambda env: env.sampler.generators,
}
_SPACES = {"action_space": "single_action_space", "observation_space": "single_observation_space"}
_SHARED = ("max_episode_steps", "metadata", "render_mode", "spec")
_SETTABLE = ("max_episode_steps", "np_random")


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
        self.core._restart(None, chosen)
        return self._observe(), self._info()

    def step(self, action: int) -> tuple[Observation, float, bool, bool, LazyInfo]:
        """Take an action."""
        self.core._check_reset("reset the environment before the first step")
        walks = self.core.walks
        if walks.terminated[0] or walks.truncated[0]:
            raise gym.error.ResetNeeded("the episode has ended: reset the environment")
        last = self.core.num_actions - 1
        try:
            number = operator.index(action)
        except TypeError as error:
            raise UserError(f"action {action!r} is not an integer in 0..{last}") from error
        if not 0 <= number <= last:
            raise UserError(f"action {number} is not in 0..{last}")
        reward = self.core._act(np.array([number])).item()
        ended = walks.terminated.item(), walks.truncated.item()
        return self._observe(), reward, *ended, self._info()

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """Return the (H, W, 3) uint8 RGB frame of the vector environment, or None."""
        frames = self.core.render()
        return None if frames is None else frames[0]

    def action_masks(self) -> np.ndarray:
        """Return (A,) bool, True for valid actions, as sb3-contrib's MaskablePPO expects."""
        return self.core.action_masks()[0]

    def _observe(self) -> Observation:
        """Return the observation of the only agent, whose integers are `np.int64`."""
        return {name: values[0] for name, values in self.core._observe().items()}

    def _info(self) -> LazyInfo:
        """Return the info of the only agent; its numbers are Python's."""
        raise NotImplementedError


class EpisodeSampler:
    """Draws episodes for B agents, each with its own random generator.

    Agent i of a batch therefore gets the same episodes as a single agent with the same seed.
    """

    def __init__(
        self,
        instr_ids: Sequence[str],
        num_agents: int,
        shuffle: bool,
        other_ids: Sequence[str] = (),
    ) -> None:
        self._generators: list[np.random.Generator] = []
        self._num_episodes = len(instr_ids)
        self._numbers = {instr_id: number for number, instr_id in enumerate(instr_ids)}
        for number, other_id in enumerate(other_ids):
            self._numbers.setdefault(other_id, number)
        self._num_agents = num_agents
        self._shuffle = shuffle
        self._next = 0
        # A single agent draws one at a time, because the environment shares its generator.
        self._draws = np.zeros((num_agents, _AHEAD if num_agents > 1 else 1), dtype=np.int32)
        self._used = np.full(num_agents, self._draws.shape[1])

    @property
    def generators(self) -> list[np.random.Generator]:
        """Random generator of each agent, which may be ahead of the episodes drawn so far.

        Generators that are not seeded yet are seeded from system entropy. New generators draw the
        next episodes.
        """
        if not self._generators:
            self.seed(None)
        return list(self._generators)

    @generators.setter
    def generators(self, generators: Sequence[np.random.Generator]) -> None:
        self._generators = list(generators)
        self._used[:] = self._draws.shape[1]

    def seed(
        self, seed: int | Sequence[int | None] | None, agents: np.ndarray | None = None
    ) -> None:
        """Seed the generators; unshuffled episodes start again at the first one.

        Args:
            seed: Agent i uses `seed + i`; a sequence contains one seed per agent. None (also for
                one agent) keeps the generator, or seeds a new one from system entropy.
            agents: (M,) agents to seed; the others keep their generators. None for all.
        """
        if isinstance(seed, int | np.integer):
            seed = [int(seed) + agent for agent in range(self._num_agents)]
        if isinstance(seed, float | str):
            raise UserError(f"seed is {seed!r}, but must be a whole number or one for each agent")
        seeds = [None] * self._num_agents if seed is None else list(seed)
        seeds = [int(own) if isinstance(own, np.integer) else own for own in seeds]
        if len(seeds) != self._num_agents:
            raise UserError(f"{len(seeds)} seeds for {self._num_agents} agents")
        if agents is not None:
            chosen = set(agents.tolist())
            seeds = [own if agent in chosen else None for agent, own in enumerate(seeds)]
        if not self._generators:
            self._generators = [seeding.np_random(s)[0] for s in seeds]
        for agent, own_seed in enumerate(seeds):
            if own_seed is not None:
                self._generators[agent] = seeding.np_random(own_seed)[0]
                self._used[agent] = self._draws.shape[1]
        if any(own_seed is not None for own_seed in seeds):
            self._next = 0

    def draw_from(self, generator: np.random.Generator) -> None:
        """Use a generator of the caller for the only agent."""
        if self._num_agents != 1:
            raise UserError(f"one generator cannot serve {self._num_agents} agents")
        self._generators = [generator]

    def draw(self, agents: np.ndarray) -> np.ndarray:
        """Return the (M,) int64 indices of the next episodes of M agents."""
        count = self._num_episodes
        if not self._shuffle:
            numbers = (self._next + np.arange(len(agents))) % count
            self._next = (self._next + len(agents)) % count
            return numbers
        used, ahead = self._used[agents], self._draws.shape[1]
        for agent in agents[used == ahead]:
            self._draws[agent] = self._generators[agent].integers(count, size=ahead)
        used %= ahead
        self._used[agents] = used + 1
        return self._draws[agents, used].astype(np.int64)

    def find(self, agents: np.ndarray, instr_ids: Sequence[str]) -> np.ndarray:
        """Return the (M,) int64 indices of episodes by id.

        Args:
            agents: (M,) agents that get an episode.
        """
        if isinstance(instr_ids, str) or len(instr_ids) != self._num_agents:
            raise UserError(
                f"episode_ids must contain one instr_id for each of {self._num_agents} agents, "
                f"but is {instr_ids!r}"
            )
        chosen = [instr_ids[int(agent)] for agent in agents]
        for instr_id in chosen:
            if not isinstance(instr_id, str):
                raise UserError(
                    f"{instr_id!r} is not the instr_id of an episode, which is a string, such as "
                    f"{next(iter(self._numbers))!r}"
                )
        numbers = [self._numbers.get(instr_id, -1) for instr_id in chosen]
        if -1 in numbers:
            unknown = chosen[numbers.index(-1)]
            raise UserError(
                f"no episode {unknown!r} among the {self._num_episodes} loaded episodes, which "
                f"start with {next(iter(self._numbers))!r}; use one of these, or load another split"
            )
        return np.array(numbers)


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

    @property
    def has_goal(self) -> np.ndarray:
        """(B,) bool, whether the goal is known."""
        ...


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
        self._restart(seed, options)
        return self._observe(), self._info()

    def _restart(
        self, seed: int | Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> None:
        """Start episodes, see `reset`."""
        options, count = dict(options or {}), self.num_envs
        episode_ids, mask = options.pop("episode_ids", None), options.pop("reset_mask", None)
        if options:
            raise UserError(
                f"options must be 'episode_ids', one instr_id for each of {count} agents, "
                f"and 'reset_mask', not {sorted(options)}"
            )
        chosen = np.ones(count, dtype=bool) if mask is None else np.asarray(mask)
        if chosen.shape != (count,) or chosen.dtype != bool or not chosen.any():
            raise UserError(
                f"reset_mask must be {count} bools, at least one of them true, not {mask}"
            )
        agents = np.flatnonzero(chosen)
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

        `name` is a method or attribute of an environment with one agent, so that code written for
        Gymnasium's `SyncVectorEnv` works with both.
        """
        if name in _METHODS:
            if args or kwargs:
                raise TypeError(f"{name}() takes no arguments, but got {(*args, *kwargs)}")
            return tuple(_METHODS[name](self))
        if name in _OWN:
            return tuple(_OWN[name](self))
        if name in _SPACES or name in _SHARED:
            return (getattr(self, _SPACES.get(name, name)),) * self.num_envs
        known = ", ".join(sorted((*_METHODS, *_OWN, *_SPACES, *_SHARED)))
        hint = f"; use env.unwrapped.{name} of the whole batch" if hasattr(self, name) else ""
        raise AttributeError(
            f"agents of a {type(self).__name__} have no attribute {name!r}, only {known}{hint}"
        )

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return the values of an attribute of the B agents."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set `np_random` or `max_episode_steps` of the agents."""
        if name not in _SETTABLE:
            raise AttributeError(
                f"attribute {name!r} of the agents of a {type(self).__name__} cannot be set; only "
                f"{' and '.join(_SETTABLE)} can"
            )
        if not isinstance(values, list | tuple):
            values = [values] * self.num_envs
        if len(values) != self.num_envs:
            raise UserError(f"{name}: {len(values)} values for {self.num_envs} agents")
        if name == "max_episode_steps":
            if any(value != values[0] for value in values):
                raise UserError(f"max_episode_steps must be the same for all agents, not {values}")
            self.max_episode_steps = whole_number("max_episode_steps", values[0])
            return
        if not all(isinstance(value, np.random.Generator) for value in values):
            raise UserError("np_random must be numpy.random.Generator objects, one for each agent")
        if len({id(value) for value in values}) < len(values):
            raise UserError("np_random must be a different generator for each agent")
        self.sampler.generators = list(values)

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
        """Register in an info the metrics of the agents `ended` (M,) whose goal is known."""
        scored = ended[self.walks.has_goal[ended]]
        if scored.size:
            mask = np.zeros(self.num_envs, dtype=bool)
            mask[scored] = True
            metrics = self._metrics_of(scored)
            info["_metrics"] = mask
            info.set_lazy("metrics", lambda: scattered(metrics(), mask))

    def _metrics_of(self, agents: np.ndarray) -> Callable[[], dict[str, np.ndarray]]:
        """Return a function that computes the metrics of the walks of agents (M,) until now."""
        raise NotImplementedError

    def _check_reset(self, hint: str) -> None:
        if not self.is_reset:
            raise gym.error.ResetNeeded(hint)

    def _set_spaces(self, actions: int, observation: gym.spaces.Space[Any]) -> None:
        """Set the spaces of one agent with `actions` actions, and those of the batch."""
        self.num_actions = actions
        self.single_action_space = gym.spaces.Discrete(actions)
        self.single_observation_space = observation
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

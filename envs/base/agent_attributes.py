"""`call`, `get_attr` and `set_attr` of a batch of agents that have no environments of their own.

The names are those of an environment with one agent (`clipnav.envs.navigation.vln_env.VlnEnv`), so
that code written for Gymnasium's `SyncVectorEnv` works with both.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from clipnav.envs.arguments import whole_number
from clipnav.envs.base.episode_sampler import EpisodeSampler
from clipnav.storage.errors import UserError


class AgentBatch(Protocol):
    """An environment with a batch of agents."""

    num_envs: int
    max_episode_steps: int
    sampler: EpisodeSampler

    def action_masks(self) -> np.ndarray:
        """Return (B, K) bool, True where an action is valid."""
        ...

    def render(self) -> Sequence[np.ndarray] | None:
        """Return a frame per agent."""
        ...

    def current_episodes(self) -> Sequence[Any]:
        """Return the episode of each agent."""
        ...


_METHODS: dict[str, Callable[[AgentBatch], Sequence[Any]]] = {
    "action_masks": lambda env: list(env.action_masks()),
    "render": lambda env: env.render() or [None] * env.num_envs,
}
_OWN: dict[str, Callable[[AgentBatch], Sequence[Any]]] = {
    "episode": lambda env: env.current_episodes(),
    "np_random": lambda env: env.sampler.generators,
}
_SPACES = {"action_space": "single_action_space", "observation_space": "single_observation_space"}
_SHARED = ("max_episode_steps", "metadata", "render_mode", "spec")
_SETTABLE = ("max_episode_steps", "np_random")


def call(env: AgentBatch, name: str, *arguments: Any, **named: Any) -> tuple[Any, ...]:
    """Call a method of each agent, or return an attribute of each agent."""
    if name in _METHODS:
        if arguments or named:
            raise TypeError(f"{name}() takes no arguments, but got {(*arguments, *named)}")
        return tuple(_METHODS[name](env))
    if name in _OWN:
        return tuple(_OWN[name](env))
    if name in _SPACES or name in _SHARED:
        return (getattr(env, _SPACES.get(name, name)),) * env.num_envs
    known = ", ".join(sorted((*_METHODS, *_OWN, *_SPACES, *_SHARED)))
    hint = f"; use env.unwrapped.{name} of the whole batch" if hasattr(env, name) else ""
    raise AttributeError(
        f"agents of a {type(env).__name__} have no attribute {name!r}, only {known}{hint}"
    )


def set_attribute(env: AgentBatch, name: str, values: Any) -> None:
    """Set an attribute of each agent."""
    if name not in _SETTABLE:
        raise AttributeError(
            f"attribute {name!r} of the agents of a {type(env).__name__} cannot be set; only "
            f"{' and '.join(_SETTABLE)} can"
        )
    if not isinstance(values, list | tuple):
        values = [values] * env.num_envs
    if len(values) != env.num_envs:
        raise UserError(f"{name}: {len(values)} values for {env.num_envs} agents")
    if name == "np_random":
        _set_generators(env, values)
    else:
        _set_limit(env, values)


def _set_generators(env: AgentBatch, values: Sequence[Any]) -> None:
    if not all(isinstance(value, np.random.Generator) for value in values):
        raise UserError("np_random must be numpy.random.Generator objects, one for each agent")
    if len({id(value) for value in values}) < len(values):
        raise UserError("np_random must be a different generator for each agent")
    env.sampler.generators = list(values)


def _set_limit(env: AgentBatch, values: Sequence[Any]) -> None:
    if any(value != values[0] for value in values):
        raise UserError(f"max_episode_steps must be the same for all agents, not {values}")
    env.max_episode_steps = whole_number("max_episode_steps", values[0])

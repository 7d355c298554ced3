"""Infos of a batch of agents in Gymnasium's format, whose entries are computed when read.

Also the start of chosen episodes in a batch of agents.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from clipnav.storage.errors import UserError


def check_batch(env: Any) -> None:
    """Refuse an environment without a batch of agents that stay where their episode ended."""
    mode = getattr(env, "autoreset_mode", None)
    if mode is None:
        raise TypeError(
            f"{env} has no batch of agents; make the environment with "
            "gymnasium.make_vec(..., autoreset_mode='Disabled') and do not wrap it"
        )
    if mode is not AutoresetMode.DISABLED:
        raise UserError(
            f"the environment has autoreset_mode={mode.value!r}, so that another episode replaces "
            "one that has ended; make it with autoreset_mode='Disabled'"
        )


def check_instr_ids(instr_ids: Sequence[str]) -> None:
    """Refuse one id in place of a list of ids, because a str is a sequence of letters."""
    if isinstance(instr_ids, str):
        raise TypeError(f"instr_ids must be a list, not {instr_ids!r}; pass [{instr_ids!r}]")


def check_loaded_for(env: Any, agent: object) -> None:
    """Refuse an agent that has been loaded for an environment of another kind.

    Its features are those of the viewpoints of that environment, by their numbers.
    """
    own = getattr(agent, "loaded_for", None)
    if own is None or own is env:
        return
    fits = (
        env.settings.observe == own.settings.observe
        and env.nav_world.keys == own.nav_world.keys
        and env.tokenizer == own.tokenizer
    )
    if not fits:
        raise UserError(
            f"the agent was loaded for {own.split.dataset} {own.split.name}, whose viewpoints, "
            "tokens or observations are others than those of this environment; use the "
            f"environment and the agent of load_run(run, {env.split.name!r})"
        )


def start_episodes(env: Any, instr_ids: Sequence[str]) -> tuple[Any, Any, np.ndarray]:
    """Start episodes in the first agents of a batch; the other agents repeat the first episode.

    Returns:
        Observation and info of the batch, and the agents (N,) of the episodes.
    """
    check_batch(env)
    check_instr_ids(instr_ids)
    count, size = len(instr_ids), env.num_envs
    if not 1 <= count <= size:
        raise UserError(f"{count} episodes for {size} environments; pass 1 to {size} instr_ids")
    padded = [*instr_ids, *[instr_ids[0]] * (size - count)]
    observation, info = env.reset(options={"episode_ids": padded})
    return observation, info, np.arange(count)


class LazyInfo(dict[str, Any]):
    """Dictionary with entries that are computed on first access.

    Gathering the names of hundreds of viewpoints takes longer than a step, and most callers do not
    read them. Reading an entry computes only that entry; every other operation, such as
    `dict(info)`, computes all entries first. Copies and pickles are plain dictionaries.
    """

    __slots__ = ("_makers",)

    def __init__(self, known: Mapping[str, Any], makers: Mapping[str, Callable[[], Any]]) -> None:
        """Store entries and functions that compute further entries.

        Args:
            makers: Functions that compute the other entries; each is called at most once. The
                arrays that they read must not be changed later.
        """
        super().__init__(known)
        self._makers = dict(makers)

    def __missing__(self, name: str) -> Any:
        if name not in self._makers:
            raise KeyError(name)
        self[name] = value = self._makers[name]()
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._makers.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._makers

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def get(self, name: str, default: Any = None) -> Any:
        """Return an entry, or the default if there is none."""
        return self[name] if name in self else default

    def names(self) -> list[str]:
        """Return the names of all entries without computing any."""
        return [*super().keys(), *self._makers]

    def set_lazy(self, name: str, maker: Callable[[], Any]) -> None:
        """Register an entry that is computed on first access."""
        self._makers[name] = maker

    def compute_all(self) -> None:
        """Compute all entries that have not been read yet."""
        for name in list(self._makers):
            self[name]


def _after_computing_all(name: str) -> Callable[..., Any]:
    """Return a method of `dict` that computes all entries first."""
    method = getattr(dict, name)

    @wraps(method)
    def call(info: LazyInfo, *arguments: Any, **named: Any) -> Any:
        info.compute_all()
        return method(info, *arguments, **named)

    return call


for _name in (
    *("__delitem__", "__eq__", "__ior__", "__iter__", "__len__", "__ne__", "__or__", "__repr__"),
    *("__reversed__", "__ror__", "clear", "copy", "items", "keys", "pop", "popitem"),
    *("setdefault", "update", "values"),
):
    setattr(LazyInfo, _name, _after_computing_all(_name))


def batch_info(
    known: Mapping[str, np.ndarray], makers: Mapping[str, Callable[[], np.ndarray]], num_agents: int
) -> LazyInfo:
    """Return an info with one value per agent in each entry, and with the mask of each entry."""
    everyone = partial(np.ones, num_agents, dtype=bool)
    masks = {f"_{name}": everyone for name in (*known, *makers)}
    return LazyInfo(known, {**makers, **masks})


def only_agent_info(info: LazyInfo, metrics: Callable[[], dict[str, float]] | None) -> LazyInfo:
    """Return the info of the only agent of a batch; its numbers are Python's."""
    names = [name for name in info.names() if not name.startswith("_") and name != "metrics"]
    makers: dict[str, Callable[[], Any]] = {
        name: partial(only_value, partial(info.__getitem__, name)) for name in names
    }
    if metrics is not None:
        makers["metrics"] = metrics
    return LazyInfo({names[0]: makers.pop(names[0])()}, makers)


def only_value(make: Callable[[], Any]) -> Any:
    """Return the value of the only agent of a batch; numbers are Python's."""
    value = make()[0]
    return value.item() if isinstance(value, np.generic) else value


def masked(arrays: dict[str, Any], mask: np.ndarray) -> dict[str, Any]:
    """Add to each entry `name` an entry `_name` that contains the mask of valid agents.

    Args:
        mask: (B,) bool, copied for each entry.
    """
    masks = np.repeat(mask[None], len(arrays), axis=0)
    return {**arrays, **{f"_{name}": own for name, own in zip(arrays, masks, strict=True)}}


def scattered(arrays: dict[str, np.ndarray], mask: np.ndarray) -> dict[str, Any]:
    """Scatter the values of M agents into arrays of all B agents, and add their masks.

    Args:
        arrays: Entries of shape (M,).
        mask: (B,) bool with M true values; the other agents get 0.
    """
    spread = np.zeros((len(arrays), len(mask)))
    spread[:, mask] = list(arrays.values())
    return masked(dict(zip(arrays, spread, strict=True)), mask)


def finals(
    observation: dict[str, np.ndarray], info: dict[str, Any], ended: np.ndarray
) -> dict[str, Any]:
    """Return the entries `final_obs` and `final_info` of a step that restarts ended episodes.

    Args:
        ended: (B,) bool, agents whose episode has ended.
    """
    final_obs = np.full(len(ended), None, dtype=object)
    for agent in np.flatnonzero(ended):
        final_obs[agent] = {name: array[agent].copy() for name, array in observation.items()}
    final_info = {
        name: values & ended if name.startswith("_") else values for name, values in info.items()
    }
    return masked({"final_obs": final_obs, "final_info": final_info}, ended)

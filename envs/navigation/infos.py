"""Gymnasium's layout of the infos of many agents."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import numpy as np


class LazyInfo(dict[str, Any]):
    """A dictionary some of whose entries are made when somebody looks at them.

    Gathering the names of hundreds of viewpoints takes longer than a step, and few look at them.
    To its users it is an ordinary dictionary: looking an entry up makes that one, and everything
    else, such as `dict(info)`, makes all first. Copies and pickles are plain dictionaries.
    """

    __slots__ = ("_makers",)

    def __init__(self, known: Mapping[str, Any], makers: Mapping[str, Callable[[], Any]]) -> None:
        """Hold entries and promises.

        Args:
            known: Entries that are there.
            makers: By other names, functions that make an entry; each is called at most once. What
                they read must not change any more.
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
        """The entry, or the default where there is none."""
        return self[name] if name in self else default

    def set_lazy(self, name: str, maker: Callable[[], Any]) -> None:
        """Have an entry that is not there made when somebody looks at it."""
        self._makers[name] = maker

    def make_all(self) -> None:
        """Make all entries that are still missing."""
        for name in list(self._makers):
            self[name]


def _after_all_are_made(name: str) -> Callable[..., Any]:
    method = getattr(dict, name)

    @wraps(method)
    def call(info: LazyInfo, *arguments: Any, **named: Any) -> Any:
        info.make_all()
        return method(info, *arguments, **named)

    return call


for _name in (
    *("__delitem__", "__eq__", "__ior__", "__iter__", "__len__", "__or__", "__repr__"),
    *("__reversed__", "__ror__", "clear", "copy", "items", "keys", "pop", "popitem"),
    *("setdefault", "update", "values"),
):
    setattr(LazyInfo, _name, _after_all_are_made(_name))


def masked(arrays: dict[str, Any], mask: np.ndarray) -> dict[str, Any]:
    """Put beside each entry `name` an entry `_name` that says which agents it speaks of.

    Args:
        arrays: Entries with one value per agent.
        mask: (B,) bool, copied for each entry.
    """
    masks = np.repeat(mask[None], len(arrays), axis=0)
    return {**arrays, **{f"_{name}": own for name, own in zip(arrays, masks, strict=True)}}


def scattered(arrays: dict[str, np.ndarray], mask: np.ndarray) -> dict[str, Any]:
    """Spread numbers of the M agents of a mask over all B, zero elsewhere, and mask them.

    Args:
        arrays: Entries of shape (M,).
        mask: (B,) bool with M times True.
    """
    spread = np.zeros((len(arrays), len(mask)))
    spread[:, mask] = list(arrays.values())
    return masked(dict(zip(arrays, spread, strict=True)), mask)


def finals(
    observation: dict[str, np.ndarray], info: dict[str, Any], ended: np.ndarray
) -> dict[str, Any]:
    """Entries `final_obs` and `final_info` of a step that restarts what has ended.

    Args:
        observation: Arrays of B agents before the restart.
        info: Masked info before the restart.
        ended: (B,) bool.
    """
    final_obs = np.full(len(ended), None, dtype=object)
    for agent in np.flatnonzero(ended):
        final_obs[agent] = {name: np.array(array[agent]) for name, array in observation.items()}
    final_info = {
        name: values & ended if name.startswith("_") else values for name, values in info.items()
    }
    return masked({"final_obs": final_obs, "final_info": final_info}, ended)

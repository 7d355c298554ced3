"""Checks of arguments that users pass to environments and loaders."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import numpy as np

from clipnav.storage.errors import UserError

_MAX_PICTURE_SIZE = 4096  # pixels; the finest panoramas have as many columns


def whole_number(name: str, value: Any, least: int = 1) -> int:
    """Return an argument that must be an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise UserError(f"{name} is {value!r}, but must be a whole number, at least {least}")
    return int(value)


def check_numbers(settings: Any, *names: str) -> None:
    """Refuse fields of settings that are not numbers, such as strings."""
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise UserError(f"{name} is {value!r}, but must be a number")


def check_flags(settings: Any, *names: str) -> None:
    """Refuse fields of settings that are neither true nor false, such as the string "no"."""
    for name in names:
        value = getattr(settings, name)
        if value not in (0, 1):
            raise UserError(f"{name} is {value!r}, but must be True or False")


def picture_size(name: str, size: Any) -> tuple[int, int]:
    """Return an argument that must be the height and width of a picture in pixels."""
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise UserError(f"{name} {size} is not (height, width)")
    height, width = (whole_number(name, value) for value in size)
    if max(height, width) > _MAX_PICTURE_SIZE:
        raise UserError(
            f"{name} is {max(height, width)}, but must be at most {_MAX_PICTURE_SIZE} pixels"
        )
    return height, width


def check_argument_names(env: str, arguments: Iterable[str], known: Sequence[str]) -> None:
    """Refuse arguments that an environment does not have; the error names the closest one."""
    for name in arguments:
        if name in known:
            continue
        if name in ("num_envs", "autoreset_mode"):  # vector environments take these by name
            raise TypeError(
                f"{env} has no argument {name!r}, because it holds one agent; use "
                "gymnasium.make_vec for several agents"
            )
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        # Python's words, by which torchrl notices that 'frameskip' is no argument.
        raise TypeError(f"{env}() got an unexpected keyword argument {name!r}; {hint}")


def check_text(name: str, value: Any) -> None:
    """Refuse a value that is not one string, such as a list of names."""
    if not isinstance(value, str):
        raise UserError(f"{name} is {value!r}, but must be one string")


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Refuse a value that is not one of the strings of a `Literal` type."""
    known = get_args(choices)
    if value not in known:
        raise UserError(f"{name} {value!r} is not one of {', '.join(known)}")


def action_array(actions: Any, count: int, num_actions: int) -> np.ndarray:
    """Return actions as an array (B,) of integers in 0..K - 1."""
    actions = np.asarray(actions)
    if actions.shape != (count,) or actions.dtype.kind not in "iu":
        raise UserError(f"actions must be {count} integers, not {actions!r}")
    # Converted to unsigned integers, negative actions are the largest.
    if np.maximum.reduce(actions.astype(np.uint64)) >= num_actions:
        raise UserError(f"actions {actions} are not all in 0..{num_actions - 1}")
    return actions

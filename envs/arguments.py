"""Checks of arguments that users pass to environments and loaders."""

from typing import Any, get_args

import numpy as np


def whole_number(name: str, value: Any, least: int = 1) -> int:
    """Return an argument that must be an integer of at least `least`.

    Raises:
        ValueError: The value is not an integer, or too small.
    """
    if not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} is {value!r}, but must be a whole number, at least {least}")
    return int(value)


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Refuse a value that is not one of the strings of a `Literal` type.

    Raises:
        ValueError: The value is not one of them; the message lists them.
    """
    known = get_args(choices)
    if value not in known:
        raise ValueError(f"{name} {value!r} is not one of {', '.join(known)}")

"""What the methods of a simulator accept: the same types as MatterSim's binding."""

from __future__ import annotations

import math
from collections.abc import Sized
from operator import index as integer
from typing import Any

_TEXT = str, bytes


def check_batch(method: str, size: int, *arguments: Sized) -> None:
    """Refuse arguments that are not sequences of at least `size` entries.

    Raises:
        TypeError: Not a sequence.
        IndexError: Too short.
    """
    for number, argument in enumerate(arguments, start=1):
        if isinstance(argument, _TEXT) or not hasattr(argument, "__len__"):
            raise TypeError(
                f"{method}(): incompatible function arguments: argument {number} is "
                f"{argument!r}, but version 0.2 takes a list with an entry for each environment. "
                'For code written for version 0.1 use envs.mattersim.install(version="0.1").'
            )
        if len(argument) < size:
            raise IndexError(
                f"{method}(): argument {number} has {len(argument)} entries for {size} environments"
            )


def text(value: Any) -> str:
    """A string as it is.

    Raises:
        TypeError: Not a string.
    """
    if not isinstance(value, str):
        raise TypeError(f"incompatible function arguments: {value!r} is not a string")
    return value


def real(value: Any) -> float:
    """A number as a 64-bit float.

    Raises:
        TypeError: Not a number.
    """
    if isinstance(value, _TEXT) or not hasattr(value, "__float__"):
        raise TypeError(f"incompatible function arguments: {value!r} is not a number")
    return float(value)


def natural(value: Any) -> int:
    """A whole number from 0.

    Raises:
        TypeError: Not a whole number, or negative.
    """
    try:
        number = integer(value)
    except TypeError:
        number = -1
    if number < 0:
        raise TypeError(f"incompatible function arguments: {value!r} is not a whole number from 0")
    return number


def picture_size(value: Any) -> int:
    """Pixels along one side of a picture.

    Raises:
        TypeError: Not a whole number.
        ValueError: Less than 1.
    """
    pixels = integer(value)
    if pixels < 1:
        raise ValueError(f"MatterSim: a picture cannot be {pixels} pixels wide or high")
    return pixels


def field_of_view(value: Any) -> float:
    """Radians.

    Raises:
        TypeError: Not a number.
        ValueError: Not finite.
    """
    vfov = real(value)
    if not math.isfinite(vfov):
        raise ValueError(f"MatterSim: the field of view cannot be {vfov}")
    return vfov

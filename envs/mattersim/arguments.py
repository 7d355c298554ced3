"""Checks of the arguments of a simulator, which accept the types of MatterSim's binding."""

from __future__ import annotations

import math
from collections.abc import Sized
from operator import index as integer
from typing import Any

from clipnav.storage.errors import UserError

_TEXT = str, bytes


def check_batch(method: str, size: int, *arguments: Sized) -> None:
    """Refuse arguments that are not sequences of at least `size` entries.

    Raises:
        TypeError: An argument is not a sequence.
        IndexError: An argument is too short.
    """
    for number, argument in enumerate(arguments, start=1):
        if isinstance(argument, _TEXT) or not hasattr(argument, "__len__"):
            raise TypeError(
                f"{method}(): incompatible function arguments: argument {number} is "
                f"{argument!r}, but version 0.2 takes a list with one entry per environment; for "
                'code written for version 0.1 call clipnav.envs.mattersim.install(version="0.1")'
            )
        if len(argument) < size:
            raise IndexError(
                f"{method}(): argument {number} has {len(argument)} entries for {size} environments"
            )


def text(value: Any) -> str:
    """Return a string unchanged.

    Raises:
        TypeError: The value is not a string.
    """
    if not isinstance(value, str):
        raise TypeError(f"incompatible function arguments: {value!r} is not a string")
    return value


def real(value: Any) -> float:
    """Return a number as a 64-bit float.

    Raises:
        TypeError: The value is not a number.
    """
    if isinstance(value, _TEXT) or not hasattr(value, "__float__"):
        raise TypeError(f"incompatible function arguments: {value!r} is not a number")
    return float(value)


def natural(value: Any) -> int:
    """Return a non-negative integer.

    Raises:
        TypeError: The value is not an integer, or negative.
    """
    try:
        number = integer(value)
    except TypeError:
        number = -1
    if number < 0:
        raise TypeError(f"incompatible function arguments: {value!r} is not a non-negative integer")
    return number


def picture_size(value: Any) -> int:
    """Return the number of pixels along one side of an image.

    Raises:
        TypeError: The value is not an integer.
        UserError: The value is less than 1.
    """
    pixels = integer(value)
    if pixels < 1:
        raise UserError(f"MatterSim: an image cannot be {pixels} pixels wide or high")
    return pixels


def field_of_view(value: Any) -> float:
    """Return a field of view in radians.

    Raises:
        TypeError: The value is not a number.
        UserError: The value is not finite.
    """
    vfov = real(value)
    if not math.isfinite(vfov):
        raise UserError(f"MatterSim: the field of view cannot be {vfov}")
    return vfov

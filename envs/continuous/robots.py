"""Robots: their bodies and cameras as settings, and the noise of their motions."""

import tomllib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from clipnav.storage.errors import UserError

_FILE = Path(__file__).with_name("robots.toml")
_LEAST = 0.05  # share of a motion that a robot carries out at least
_CUT = 3.0  # standard deviations


@lru_cache(maxsize=1)
def _tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def robot_names() -> tuple[str, ...]:
    """Return the names of the robots."""
    return tuple(_tables()["robots"])


def noise_names() -> tuple[str, ...]:
    """Return the names of the noises of motions."""
    return tuple(_tables()["noise"])


def robot_settings(name: str) -> dict[str, Any]:
    """Return the fields of `ContinuousSettings` that a robot determines.

    Raises:
        UserError: No robot has this name.
    """
    robots = _tables()["robots"]
    if name not in robots:
        raise UserError(f"robot {name!r}: unknown; choose from {', '.join(robots)}")
    return {key: tuple(v) if isinstance(v, list) else v for key, v in robots[name].items()}


class Motion(NamedTuple):
    """What is added to the motions of N agents: metres forward and to the right, radians left."""

    forward: np.ndarray
    right: np.ndarray
    left_turn: np.ndarray


def draw_noise(
    name: str,
    scale: float,
    generators: Sequence[np.random.Generator],
    forward: np.ndarray,
    turns: np.ndarray,
) -> Motion:
    """Draw the noise of motions, as habitat-sim's noisy actions of PyRobot do.

    A motion never has less than a twentieth of its length before the noise is scaled.

    Args:
        name: Name of the noise.
        scale: Factor of the noise.
        generators: N generators, of which each gives three numbers.
        forward: (N,) metres of steps forward, 0 for turns.
        turns: (N,) radians to the left of turns, 0 for steps.
    """
    table = _tables()["noise"][name]
    is_turn = forward == 0
    mean, variance = (
        np.where(is_turn[:, None], table["turn"][key], table["forward"][key])
        for key in ("mean", "variance")
    )
    deviation = np.sqrt(variance)
    low = np.full(mean.shape, -_CUT)
    least = np.stack([forward, np.zeros_like(forward), np.abs(turns)], axis=1) * (_LEAST - 1)
    limited = least < 0
    bound = (least - mean) / np.where(deviation > 0, deviation, np.inf)
    low = np.where(limited, np.maximum(bound, low), low)
    uniform = np.array([generator.random(3) for generator in generators]).reshape(-1, 3)
    below, above = ndtr(low), ndtr(_CUT)
    noise = scale * (mean + deviation * ndtri(below + uniform * (above - below)))
    mirrored = np.where(turns < 0, -1.0, 1.0)
    return Motion(noise[:, 0], noise[:, 1], noise[:, 2] * mirrored)

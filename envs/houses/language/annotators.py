"""Annotators of the built-in instructions: groups with habits, and people with favourite words."""

from __future__ import annotations

import math
import zlib
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np

from clipnav.envs.houses.language.wording_files import load_wording

# Number of annotators of each language.
ANNOTATORS = {"en-US": 40, "en-IN": 16, "hi-IN": 20, "te-IN": 20}
_RATES = (0.85, 0.95, 1.05, 1.2)  # rates of speech
_RANK_POWER = 1.4  # an option is used in proportion to (its rank)^-_RANK_POWER
# Words of options that are true of straight walks only.
STRAIGHT_WORDS = frozenset({"straight", "forward", "ahead"})

Option = TypeVar("Option")


@dataclass(frozen=True)
class Habits:
    """Habits of a group of annotators; `wording/annotators.toml` explains the fields."""

    share: float
    brevity: float
    landmarks: float
    rooms: float
    doors: float
    straight: float
    turns: float
    colours: float
    ordinals: float
    statements: float
    favourites: float
    fusing: float
    adjectives: float
    sentences: tuple[float, float, float]
    misspellings: float
    capitals: float
    stops: float


@dataclass(frozen=True)
class Annotator:
    """A person who writes instructions.

    Attributes:
        number: Number among the annotators of all languages, RxR's `annotator_id`.
        habits: Habits of the person's group.
    """

    number: int
    habits: Habits

    @property
    def rate(self) -> float:
        """Rate of speech; 1 is the mean."""
        return _RATES[self.number % len(_RATES)]

    def taste(self, wording: str) -> float:
        """Return a number in (0, 1) that says how much the annotator likes a wording."""
        return (zlib.crc32(f"{self.number}:{wording}".encode()) + 0.5) / 2**32


@cache
def annotators_of(tag: str) -> tuple[Annotator, ...]:
    """Return the annotators of a language."""
    tags = list(ANNOTATORS)
    first = sum(ANNOTATORS[other] for other in tags[: tags.index(tag)])
    groups = list(_groups())
    limits = np.cumsum([group.share for group in groups])
    return tuple(
        Annotator(first + k, groups[int(np.searchsorted(limits, (k + 0.5) / ANNOTATORS[tag]))])
        for k in range(ANNOTATORS[tag])
    )


@cache
def _groups() -> tuple[Habits, ...]:
    return tuple(
        Habits(**{key: _frozen(value) for key, value in group.items()})
        for group in load_wording("annotators").values()
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Writer:
    """Choices of words by one annotator in one text.

    An annotator has favourites among all wordings. Equal keys get the same choice throughout a
    text, so that it calls a thing by one name and keeps one form of the imperative.
    """

    def __init__(self, annotator: Annotator, rng: np.random.Generator) -> None:
        self.habits = annotator.habits
        self.rng = rng
        self.is_straight = True
        self._annotator = annotator
        self._kept: dict[str, float] = {}

    def choose(self, key: str, options: Sequence[str]) -> int:
        """Return the index of one of several wordings; see `Language.render`."""
        if len(options) == 1:
            return 0
        if key == "adjective":
            if self.rng.random() >= self.habits.adjectives:
                return 0
            return 1 + self._weighted(options[1:])
        if not key:
            return self._weighted(options)
        if key not in self._kept:
            keeps = self.rng.random() < 0.4
            self._kept[key] = self._annotator.taste(key) if keeps else self.rng.random()
        limits = _rank_limits(len(options))
        return bisect(limits, self._kept[key] * limits[-1])

    def pattern(self, patterns: Sequence[str], avoided: str = "") -> str:
        """Return one of several patterns, another one than `avoided` if possible."""
        options = [pattern for pattern in patterns if pattern != avoided] or patterns
        return options[self._weighted(options)]

    def _weighted(self, options: Sequence[str]) -> int:
        limits = _limits(self._annotator, tuple(options), self.is_straight)
        return bisect(limits, self.rng.random() * limits[-1])


@cache
def _limits(annotator: Annotator, options: tuple[str, ...], is_straight: bool) -> list[float]:
    """Return the cumulative weights of some wordings for an annotator.

    Args:
        is_straight: Whether the walk is straight, so that all wordings are true.
    """
    power = annotator.habits.favourites
    weights = [
        rank**-_RANK_POWER * (-math.log(annotator.taste(option))) ** power
        for rank, option in enumerate(options, 1)
    ]
    allowed = [is_straight or not STRAIGHT_WORDS & set(option.split()) for option in options]
    if any(allowed):
        weights = [weight * allows for weight, allows in zip(weights, allowed, strict=True)]
    return list(accumulate(weights))


@cache
def _rank_limits(count: int) -> list[float]:
    return list(accumulate(rank**-_RANK_POWER for rank in range(1, count + 1)))


def draw(options: Sequence[tuple[Option, float]], rng: np.random.Generator) -> Option:
    """Draw one of several (option, weight) pairs with probability proportional to its weight."""
    limits = list(accumulate(weight for _, weight in options))
    return options[min(bisect(limits, rng.random() * limits[-1]), len(options) - 1)][0]

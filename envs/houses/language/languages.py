"""The languages of the built-in instructions, by RxR's tags."""

from __future__ import annotations

from functools import cache

from envs.houses.language.english import english
from envs.houses.language.grammar import Language
from envs.houses.language.hindi import hindi
from envs.houses.language.telugu import telugu

TAGS = ("en-US", "en-IN", "hi-IN", "te-IN")


@cache
def language_of(tag: str) -> Language:
    """The grammar of a language.

    Raises:
        ValueError: No such language.
    """
    if tag not in TAGS:
        raise ValueError(f"no instructions in language '{tag}'; there are {', '.join(TAGS)}")
    if tag == "hi-IN":
        return hindi()
    return telugu() if tag == "te-IN" else english(tag)

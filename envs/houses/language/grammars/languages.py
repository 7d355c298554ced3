"""Languages of the built-in instructions, by RxR's tags."""

from __future__ import annotations

from functools import cache

from clipnav.envs.houses.language.grammar import Language
from clipnav.envs.houses.language.grammars.english import english
from clipnav.envs.houses.language.grammars.hindi import hindi
from clipnav.envs.houses.language.grammars.telugu import telugu
from clipnav.storage.errors import UserError

TAGS = ("en-US", "en-IN", "hi-IN", "te-IN")
R2R_TAG = "en-US"  # language of R2R-style texts


@cache
def language_of(tag: str) -> Language:
    """Return the grammar of a language."""
    if tag not in TAGS:
        raise UserError(f"language '{tag}' has no grammar; choose one of {', '.join(TAGS)}")
    if tag == "hi-IN":
        return hindi()
    return telugu() if tag == "te-IN" else english(tag)

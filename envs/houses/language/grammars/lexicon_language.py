"""Build a grammar from a lexicon: the frame that English, Hindi and Telugu share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

from clipnav.envs.houses.language.grammar import Connectives, Language, Verb
from clipnav.envs.houses.language.grammars.lexicon import load_lexicon


def lexicon_language(
    tag: str,
    lexicon_name: str,
    patterns: Mapping[str, Sequence[str]],
    connectives: Connectives,
    forms: Mapping[str, Callable[[Any, str], Sequence[str]]],
    writes_capitals: bool = False,
) -> Language:
    """Build the grammar of a language with all verbs, nouns and adjectives of its lexicon.

    Args:
        forms: For the letter of each field, a function from (value, form) to its wordings.
    """
    lexicon = load_lexicon(lexicon_name)
    verbs = lexicon.get("verbs", {}).items()
    return Language(
        tag=tag,
        patterns=patterns,
        connectives=connectives,
        verbs={
            name: Verb(tuple(imperatives), participle) for name, (imperatives, participle) in verbs
        },
        nouns=tuple(lexicon["nouns"]),
        colours=tuple(lexicon["colours"]),
        materials=tuple(lexicon["materials"]),
        rooms=tuple(lexicon["rooms"]),
        forms=forms,
        writes_capitals=writes_capitals,
    )


def noun_phrases(
    ordinals: Sequence[str], colours: Sequence[str], materials: Sequence[str], nouns: Sequence[str]
) -> list[str]:
    """Return every phrase of an ordinal, a colour, a material and a noun, in this word order.

    "" stands for a missing adjective. Synonyms of the noun vary fastest, so that one variant of a
    text uses the same synonym throughout.
    """
    return [" ".join(filter(None, words)) for words in product(ordinals, colours, materials, nouns)]

"""Build a grammar from a lexicon: the frame that English, Hindi and Telugu share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

from clipnav.envs.houses.language.grammar import Connectives, Language, Verb
from clipnav.envs.houses.language.grammars.lexicon import load_lexicon
from clipnav.envs.houses.language.wording_files import load_wording


def lexicon_language(
    tag: str,
    name: str,
    forms: Mapping[str, Callable[[Any, str], Sequence[str]]],
    patterns: Mapping[str, Sequence[str]] | None = None,
    **options: Any,
) -> Language:
    """Build the grammar of a language with all words of its lexicon.

    Args:
        name: Name of its lexicon and of its wording.
        forms: For the letter of each field, a function from (value, form) to its wordings.
        patterns: Patterns by kind of act; None means those of the wording.
        options: Further fields of `Language`.
    """
    lexicon, wording = load_lexicon(name), load_wording(name)
    connectives: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in wording["connectives"].items()
    }
    return Language(
        tag=tag,
        patterns=patterns or wording["patterns"],
        connectives=Connectives(**connectives),
        verbs={
            key: Verb(tuple(imperatives), participle)
            for key, (imperatives, participle) in lexicon.get("verbs", {}).items()
        },
        nouns=tuple(lexicon["nouns"]),
        colours=tuple(lexicon["colours"]),
        materials=tuple(lexicon["materials"]),
        rooms=tuple(lexicon["rooms"]),
        forms=forms,
        **options,
    )


def noun_phrases(
    ordinals: Sequence[str], colours: Sequence[str], materials: Sequence[str], nouns: Sequence[str]
) -> list[str]:
    """Return every phrase of an ordinal, a colour, a material and a noun, in this word order.

    "" stands for a missing adjective. Synonyms of the noun vary fastest, so that one variant of a
    text uses the same synonym throughout.
    """
    return [" ".join(filter(None, words)) for words in product(ordinals, colours, materials, nouns)]

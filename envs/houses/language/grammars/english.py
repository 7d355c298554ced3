"""English of the United States and of India: the forms that the slots of its patterns need."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from clipnav.envs.houses.language.acts import Mention
from clipnav.envs.houses.language.grammar import Language, indefinite_article
from clipnav.envs.houses.language.grammars.lexicon import load_lexicon
from clipnav.envs.houses.language.grammars.lexicon_language import lexicon_language, noun_phrases
from clipnav.envs.houses.language.wording_files import load_wording

_FEET = {2: "six", 3: "ten", 4: "twelve", 5: "fifteen", 6: "twenty", 8: "twenty-five", 9: "thirty"}
_GROUP = re.compile(r"<(\w+)>")
_PLURAL_ENDINGS = (("lf", "lves"), ("ey", "eys"), ("y", "ies"), ("ch", "ches"), ("sh", "shes"))
_PLURAL_ENDINGS += (("x", "xes"), ("ss", "sses"))


@cache
def english(tag: str) -> Language:
    """Return the grammar of "en-US" or "en-IN"."""
    lexicon, wording = load_lexicon("english"), load_wording("english")
    variety = wording["varieties"].get(tag, {})
    patterns = {
        kind: tuple(_expanded(pattern) for pattern in (*variety.get(kind, ()), *common))
        for kind, common in wording["patterns"].items()
    }
    adjectives = {("" if key == "any" else key): words for key, words in _adjectives().items()}
    return lexicon_language(
        tag,
        "english",
        {
            "L": lambda mention, form: _mention(tag, mention, form),
            "R": lambda room, _: [f"the {name}" for name in room_names(tag, room)],
            "S": lambda side, form: wording["sides"][form][side],
            "D": lambda metres, _: [_distance(tag, metres)],
            "O": lambda ordinal, _: wording["ordinals"][lexicon["ordinals"][ordinal - 1]],
        },
        patterns,
        writes_capitals=True,
        adjectives=adjectives,
        fillers=frozenset(word for words in adjectives.values() for word in _words(words)),
        misspells=True,
    )


@cache
def noun_pairs(tag: str, noun: str) -> list[tuple[str, str]]:
    """Return the names of a thing, each in the singular and the plural."""
    pairs = [tuple(pair) for pair in load_lexicon("english")["nouns"][noun][tag]]
    if tag == "en-US":
        for text in load_wording("english")["nouns"].get(noun, ()):
            singular, _, plural = text.partition("/")
            pairs.append((singular, plural or _plural(singular)))
    return pairs


@cache
def room_names(tag: str, room: str) -> list[str]:
    """Return the names of a kind of room."""
    further = load_wording("english")["rooms"].get(room, ()) if tag == "en-US" else ()
    return [*load_lexicon("english")["rooms"][room][tag], *further]


def _expanded(pattern: str) -> str:
    """Return a pattern with its groups as choices."""
    return _GROUP.sub(lambda name: f"({load_wording('english')['groups'][name[1]]})", pattern)


def _adjectives() -> Mapping[str, Sequence[str]]:
    return load_wording("english")["adjectives"]


def _words(phrases: Sequence[str]) -> list[str]:
    return [word for phrase in phrases for word in phrase.split()]


def _plural(singular: str) -> str:
    for ending, plural in _PLURAL_ENDINGS:
        if singular.endswith(ending):
            return singular.removesuffix(ending) + plural
    return f"{singular}s"


def _mention(tag: str, mention: Mention, form: str) -> list[str]:
    """Return every wording of a mention with an article, or the form of "to be" for "is"."""
    if form == "is":
        return ["are" if mention.plural else "is"]
    lexicon = load_lexicon("english")
    ordinals = [""]
    if mention.ordinal:
        ordinals = load_wording("english")["ordinals"][lexicon["ordinals"][mention.ordinal - 1]]
    phrases = noun_phrases(
        ordinals,
        lexicon["colours"][mention.colour][tag] if mention.colour else [""],
        lexicon["materials"][mention.material] if mention.material else [""],
        [pair[mention.plural] for pair in noun_pairs(tag, mention.noun)],
    )
    return [_with_article(words, form, mention.plural) for words in phrases]


def _with_article(words: str, form: str, is_plural: bool) -> str:
    if form == "the":
        return f"the {words}"
    return words if is_plural else f"{indefinite_article(words)} {words}"


def _distance(tag: str, metres: int) -> str:
    if tag == "en-US":
        return f"{_FEET[metres]} feet"
    return f"{load_lexicon('english')['numbers'][metres - 1]} metres"

"""Reads the short English of R2R-style instructions: the phrases of `realiser` as a grammar."""

from __future__ import annotations

from functools import cache

from envs.houses.language.acts import Mention
from envs.houses.language.grammar import Joints, Language
from envs.houses.language.lexicon import load_lexicon
from envs.houses.language.realiser import HALLWAY_NAMES, PHRASES
from envs.houses.survey.landmarks import NOUNS, PLURALS

# What may follow a phrase; a turn lends its verb to the room, and one "past" to the next.
_TAILS = {
    "enter": ("", " with {L.the}"),
    "past": ("", " {S.on}"),
    "stop": ("", " in {R.the}"),
}
_BARE = {
    "enter": ("into {R.the}", "into {R.the} with {L.the}"),
    "past": ("{L.the}", "{L.the} {S.on}"),
}
_ON = {"left": ["on your left"], "right": ["on your right"]}
_WAY = {"left": ["left"], "right": ["right"]}


@cache
def short_english() -> Language:
    """The grammar of R2R-style instructions, tag "en"."""
    lexicon = load_lexicon("english")
    patterns: dict[str, list[str]] = {}
    for kind, phrases in PHRASES.items():
        act_kind = "through" if kind == "hallway" else kind
        for phrase in phrases:
            slots = phrase.format(room="{R.the}", landmark="{L.the}", side="{S.way}")
            patterns.setdefault(act_kind, []).extend(slots + t for t in _TAILS.get(kind, ("",)))
        patterns[act_kind] += _BARE.get(kind, ())
    blank = (("", 1.0),)
    return Language(
        tag="en",
        patterns=patterns,
        joints=Joints(". ", blank, blank, ((" and ", 1.0), (", ", 1.0), (", then ", 1.0))),
        verbs={},
        nouns=tuple(dict.fromkeys(noun for noun, _ in NOUNS.values())),
        colours=tuple(lexicon["colours"]),
        materials=(),
        rooms=tuple(lexicon["rooms"]),
        forms={
            "L": _mention,
            "R": lambda room, _: [
                f"the {name}" for name in (HALLWAY_NAMES if room == "hallway" else (room,))
            ],
            "S": lambda side, form: (_ON if form == "on" else _WAY)[side],
        },
        writes_capitals=True,
    )


def _mention(mention: Mention, _: str) -> list[str]:
    noun = mention.noun + ("s" if mention.plural and mention.noun in PLURALS else "")
    ordinal = mention.ordinal
    return [] if ordinal else [" ".join(f"the {mention.colour} {noun}".split())]

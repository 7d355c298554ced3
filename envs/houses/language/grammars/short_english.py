"""Grammar that parses the short English of R2R-style instructions, made by `r2r_realiser`."""

from __future__ import annotations

from functools import cache

from clipnav.envs.houses.language.acts import Mention
from clipnav.envs.houses.language.grammar import Connectives, Language
from clipnav.envs.houses.language.grammars.lexicon import load_lexicon
from clipnav.envs.houses.language.r2r_realiser import HALLWAY_NAMES, PHRASES
from clipnav.envs.houses.survey.landmarks import NOUNS, PLURALS

# Optional endings of a phrase, and phrases without their verb: "turn left into the kitchen",
# "pass the sofa and the red chairs".
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
    """Return the grammar of R2R-style instructions, with the tag "en"."""
    lexicon = load_lexicon("english")
    patterns: dict[str, list[str]] = {}
    for kind, phrases in PHRASES.items():
        act_kind = "through" if kind == "hallway" else kind
        for phrase in phrases:
            slots = phrase.format(room="{R.the}", landmark="{L.the}", side="{S.way}")
            patterns.setdefault(act_kind, []).extend(
                slots + tail for tail in _TAILS.get(kind, ("",))
            )
        patterns[act_kind] += _BARE.get(kind, ())
    blank = (("", 1.0),)
    return Language(
        tag="en",
        patterns=patterns,
        connectives=Connectives(
            ". ", blank, blank, ((" and ", 1.0), (", ", 1.0), (", then ", 1.0))
        ),
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

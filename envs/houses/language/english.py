"""English of the United States and of India: patterns and the forms that they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

from envs.houses.language.acts import Mention
from envs.houses.language.grammar import Joints, Language
from envs.houses.language.lexicon import load_lexicon

_PATTERNS: dict[str, tuple[str, ...]] = {
    "turn": ("turn {S.way}", "take a {S.way}", "turn to your {S.way}"),
    "slight": ("turn slightly {S.way}", "take a slight {S.way}", "bear {S.way}"),
    "around": ("turn around", "turn all the way around"),
    "straight": (
        "go straight",
        "walk straight ahead",
        "continue straight",
        "keep walking straight",
        "walk straight for about {D.unit}",
        "go about {D.unit} straight ahead",
    ),
    "past": (
        "walk past {L.the}",
        "go past {L.the}",
        "pass by {L.the}",
        "walk past {L.the} {S.on}",
        "pass {L.the} {S.on}",
        "go past {L.the} {S.on}",
        "keep {L.the} {S.on} as you walk by",
    ),
    "toward": (
        "walk towards {L.the}",
        "head towards {L.the}",
        "go in the direction of {L.the}",
    ),
    "reach": (
        "walk up to {L.the}",
        "go up to {L.the}",
        "keep walking until you reach {L.the}",
        "continue until you come to {L.the}",
    ),
    "across": ("walk across {L.the}", "walk over {L.the}", "go over {L.the}"),
    "through": (
        "walk through {R.the}",
        "go through {R.the}",
        "make your way through {R.the}",
        "walk about {D.unit} through {R.the}",
    ),
    "along": (
        "walk down {R.the}",
        "go along {R.the}",
        "continue down {R.the}",
        "walk about {D.unit} along {R.the}",
        "go down {R.the} for about {D.unit}",
    ),
    "end": (
        "walk to the end of {R.the}",
        "go all the way to the end of {R.the}",
        "keep going to the far end of {R.the}",
    ),
    "leave": ("leave {R.the}", "walk out of {R.the}", "exit {R.the}", "step out of {R.the}"),
    "enter": (
        "enter {R.the}",
        "walk into {R.the}",
        "go into {R.the}",
        "step into {R.the}",
        "continue into {R.the}",
        "go into {R.the} with {L.the}",
        "enter {R.the} where you can see {L.a}",
        "walk into {R.the} that has {L.a}",
    ),
    "door": (
        "go through the {O.nth} doorway {S.on}",
        "walk through the {O.nth} door {S.on}",
        "take the {O.nth} doorway {S.on}",
    ),
    "up": ("go up the stairs", "walk up the stairs", "climb the stairs"),
    "down": ("go down the stairs", "walk down the stairs", "take the stairs down"),
    "at": (
        "you are in {R.the}",
        "you are standing in {R.the}",
        "you should be in {R.the}",
        "you are in {R.the} with {L.a} {S.on}",
        "you are standing in {R.the} and there {L.is*} {L.a} {S.on}",
    ),
    "see": (
        "you will see {L.a} {S.on}",
        "there {L.is*} {L.a} {S.on}",
        "you should see {L.a} {S.on}",
        "notice {L.the} {S.on}",
        "{S.on} there {L.is*} {L.a}",
        "{S.on} you can see {L.a}",
    ),
    "stop": (
        "stop next to {L.the}",
        "stop right by {L.the}",
        "wait beside {L.the}",
        "stop once you are beside {L.the}",
        "stop in {R.the} next to {L.the}",
        "wait in {R.the} near {L.the}",
        "stop in {R.the}",
    ),
}
_OWN_PATTERNS: dict[str, dict[str, tuple[str, ...]]] = {
    "en-US": {
        "turn": ("make a {S.way}", "hang a {S.way}"),
        "slight": ("veer {S.way}",),
        "toward": ("head for {L.the}",),
        "up": ("head up the stairs",),
        "down": ("head down the stairs",),
    },
    "en-IN": {
        "turn": ("take a {S.way} turn", "take {S.way}"),
        "leave": ("come out of {R.the}",),
        "straight": ("move straight", "move forward"),
        "reach": ("move till you reach {L.the}",),
        "up": ("climb up the staircase",),
        "down": ("come down the staircase",),
    },
}
_JOINTS = Joints(
    stop=". ",
    openers=(("", 0.6), ("then ", 0.15), ("next, ", 0.1), ("now ", 0.1), ("after that, ", 0.05)),
    statement_openers=(("", 0.8), ("now ", 0.2)),
    inner=((" and ", 0.6), (", then ", 0.2), (" and then ", 0.2)),
)
_SIDES = {
    "left": ("on your left", "to your left", "on the left"),
    "right": ("on your right", "to your right", "on the right"),
    "ahead": ("in front of you", "ahead of you", "straight ahead of you"),
    "behind": ("behind you", "at your back", "right behind you"),
}
_FEET = {2: "six", 3: "ten", 4: "twelve", 5: "fifteen", 6: "twenty", 8: "twenty-five", 9: "thirty"}


@cache
def english(tag: str) -> Language:
    """The grammar of "en-US" or "en-IN"."""
    lexicon = load_lexicon("english")
    own = _OWN_PATTERNS[tag]
    return Language(
        tag=tag,
        patterns={kind: (*ways, *own.get(kind, ())) for kind, ways in _PATTERNS.items()},
        joints=_JOINTS,
        verbs={},
        nouns=tuple(lexicon["nouns"]),
        colours=tuple(lexicon["colours"]),
        materials=tuple(lexicon["materials"]),
        rooms=tuple(lexicon["rooms"]),
        forms={
            "L": partial(_mention, tag),
            "R": lambda room, _: [f"the {name}" for name in lexicon["rooms"][room][tag]],
            "S": _side,
            "D": lambda metres, _: [_distance(tag, metres)],
            "O": lambda ordinal, _: [lexicon["ordinals"][ordinal - 1]],
        },
        writes_capitals=True,
    )


def _mention(tag: str, mention: Mention, form: str) -> list[str]:
    if form == "is":
        return ["are" if mention.plural else "is"]
    return [_with_article(words, form, mention.plural) for words in _phrases(tag, mention)]


def _phrases(tag: str, mention: Mention) -> list[str]:
    lexicon = load_lexicon("english")
    nouns = [forms[mention.plural] for forms in lexicon["nouns"][mention.noun][tag]]
    colours: Sequence[str] = [""]
    if mention.colour:
        colours = lexicon["colours"][mention.colour][tag]
    materials = lexicon["materials"][mention.material] if mention.material else [""]
    ordinal = lexicon["ordinals"][mention.ordinal - 1] if mention.ordinal else ""
    return [
        " ".join(f"{ordinal} {colour} {material} {noun}".split())
        for colour in colours
        for material in materials
        for noun in nouns
    ]


def _with_article(words: str, form: str, is_plural: bool) -> str:
    if form == "the":
        return f"the {words}"
    if is_plural:
        return words
    return f"{'an' if words[0].lower() in 'aeiou' else 'a'} {words}"


def _side(side: str, form: str) -> Sequence[str]:
    if form == "on":
        return _SIDES[side]
    return {"left": ["left"], "right": ["right"]}[side]


def _distance(tag: str, metres: int) -> str:
    if tag == "en-US":
        return f"{_FEET[metres]} feet"
    return f"{load_lexicon('english')['numbers'][metres - 1]} metres"

"""English of the United States and of India: patterns and the forms that their slots need."""

from __future__ import annotations

from functools import cache

from clipnav.envs.houses.language.acts import Mention
from clipnav.envs.houses.language.grammar import Connectives, Language
from clipnav.envs.houses.language.grammars.lexicon import load_lexicon
from clipnav.envs.houses.language.grammars.lexicon_language import lexicon_language, noun_phrases

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
_VARIETY_PATTERNS: dict[str, dict[str, tuple[str, ...]]] = {
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
_CONNECTIVES = Connectives(
    stop=". ",
    openers=(("", 0.6), ("then ", 0.15), ("next, ", 0.1), ("now ", 0.1), ("after that, ", 0.05)),
    statement_openers=(("", 0.8), ("now ", 0.2)),
    inner=((" and ", 0.6), (", then ", 0.2), (" and then ", 0.2)),
)
_SIDES: dict[str, dict[str, tuple[str, ...]]] = {
    "way": {"left": ("left",), "right": ("right",)},
    "on": {
        "left": ("on your left", "to your left", "on the left"),
        "right": ("on your right", "to your right", "on the right"),
        "ahead": ("in front of you", "ahead of you", "straight ahead of you"),
        "behind": ("behind you", "at your back", "right behind you"),
    },
}
_FEET = {2: "six", 3: "ten", 4: "twelve", 5: "fifteen", 6: "twenty", 8: "twenty-five", 9: "thirty"}


@cache
def english(tag: str) -> Language:
    """Return the grammar of "en-US" or "en-IN"."""
    lexicon = load_lexicon("english")
    variety = _VARIETY_PATTERNS[tag]
    patterns = {kind: (*common, *variety.get(kind, ())) for kind, common in _PATTERNS.items()}
    forms = {
        "L": lambda mention, form: _mention(tag, mention, form),
        "R": lambda room, _: [f"the {name}" for name in lexicon["rooms"][room][tag]],
        "S": lambda side, form: _SIDES[form][side],
        "D": lambda metres, _: [_distance(tag, metres)],
        "O": lambda ordinal, _: [lexicon["ordinals"][ordinal - 1]],
    }
    return lexicon_language(tag, "english", patterns, _CONNECTIVES, forms, writes_capitals=True)


def _mention(tag: str, mention: Mention, form: str) -> list[str]:
    """Return every wording of a mention with an article, or the form of "to be" for "is"."""
    if form == "is":
        return ["are" if mention.plural else "is"]
    lexicon = load_lexicon("english")
    phrases = noun_phrases(
        [lexicon["ordinals"][mention.ordinal - 1]] if mention.ordinal else [""],
        lexicon["colours"][mention.colour][tag] if mention.colour else [""],
        lexicon["materials"][mention.material] if mention.material else [""],
        [forms[mention.plural] for forms in lexicon["nouns"][mention.noun][tag]],
    )
    return [_with_article(words, form, mention.plural) for words in phrases]


def _with_article(words: str, form: str, is_plural: bool) -> str:
    if form == "the":
        return f"the {words}"
    if is_plural:
        return words
    return f"{'an' if words[0].lower() in 'aeiou' else 'a'} {words}"


def _distance(tag: str, metres: int) -> str:
    if tag == "en-US":
        return f"{_FEET[metres]} feet"
    return f"{load_lexicon('english')['numbers'][metres - 1]} metres"

"""Hindi: verb-final clauses with postpositions, agreement in gender, number and case.

Adjectives, ordinals and the genitive agree with the noun. A noun before a postposition takes the
oblique case. Verbs are honorific imperatives (मुड़ें or मुड़िए, the same form throughout a text)
or, before another clause, conjunctive participles (मुड़कर).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from clipnav.envs.houses.language.acts import Mention
from clipnav.envs.houses.language.grammar import Connectives, Language
from clipnav.envs.houses.language.grammars.lexicon import load_lexicon
from clipnav.envs.houses.language.grammars.lexicon_language import lexicon_language

_PATTERNS: dict[str, tuple[str, ...]] = {
    "turn": ("{S.to} {V.turn}", "{S.to} {V.swing}"),
    "slight": ("थोड़ा {S.to} {V.turn}", "हल्का-सा {S.to} {V.turn}", "ज़रा {S.to} {V.turn}"),
    "around": ("पीछे {V.turn}", "पूरी तरह पीछे {V.swing}"),
    "straight": (
        "सीधे {V.walk}",
        "सीधे आगे {V.advance}",
        "बिना मुड़े आगे {V.walk}",
        "क़रीब {D.unit} सीधे {V.walk}",
        "लगभग {D.unit} सीधे आगे {V.advance}",
    ),
    "past": (
        "{L.obl} के पास से {V.pass}",
        "{L.obl} की बगल से {V.emerge}",
        "{L.obl} के पास से आगे {V.advance}",
        "{S.at} {L.ka*} {L.obl} के पास से {V.pass}",
        "{S.at} {L.ka*} {L.obl} की बगल से आगे {V.advance}",
    ),
    "toward": (
        "{L.obl} की ओर {V.advance}",
        "{L.obl} की तरफ़ {V.walk}",
        "{L.obl} की दिशा में {V.walk}",
    ),
    "reach": ("{L.obl} तक {V.go}", "{L.obl} तक {V.walk}", "{L.obl} के पास {V.reach}"),
    "across": ("{L.obl} के ऊपर से {V.walk}", "{L.obl} के पार {V.go}"),
    "through": (
        "{R.obl} से होते हुए आगे {V.advance}",
        "{R.obl} के अंदर आगे {V.walk}",
        "{R.obl} में क़रीब {D.unit} आगे {V.walk}",
    ),
    "along": (
        "{R.obl} में आगे {V.advance}",
        "{R.obl} में सीधे {V.walk}",
        "{R.obl} में क़रीब {D.unit} {V.walk}",
        "{R.obl} में लगभग {D.unit} आगे {V.advance}",
    ),
    "end": (
        "{R.obl} के अंत तक {V.go}",
        "{R.obl} के आख़िरी छोर तक {V.walk}",
        "{R.obl} के दूसरे सिरे तक {V.go}",
    ),
    "leave": ("{R.obl} से बाहर {V.emerge}", "{R.obl} से {V.emerge}", "{R.obl} से बाहर {V.go}"),
    "enter": (
        "{R.obl} में {V.go}",
        "{R.obl} में प्रवेश {V.do}",
        "{R.obl} के अंदर {V.go}",
        "{L.obl} {R.vala*} {R.obl} में {V.go}",
        "{L.obl} {R.vala*} {R.obl} में प्रवेश {V.do}",
    ),
    "door": (
        "{S.at} के {O.obl} दरवाज़े से {V.go}",
        "{S.at} के {O.obl} दरवाज़े से होकर {V.emerge}",
        "{S.at} के {O.obl} दरवाज़े में से {V.pass}",
    ),
    "up": ("सीढ़ियाँ {V.climb}", "सीढ़ियों से ऊपर {V.go}"),
    "down": ("सीढ़ियों से नीचे {V.descend}", "सीढ़ियों से नीचे {V.go}"),
    "at": (
        "आप {R.obl} में हैं",
        "आप इस समय {R.obl} में हैं",
        "आप {R.obl} में हैं और {S.on} {L.dir} {L.is*}",
        "आप {R.obl} में हैं, {S.on} {L.dir} {L.is*}",
    ),
    "see": (
        "{S.on} {L.dir} {L.seen*}",
        "{S.on} {L.dir} {L.is*}",
        "{S.on} {L.dir} {L.will*}",
        "{S.on} {L.dir} साफ़ नज़र {L.comes*}",
    ),
    "stop": (
        "{L.obl} के पास {V.stop}",
        "{L.obl} की बगल में {V.stop}",
        "{L.obl} के पास {V.stand}",
        "{L.obl} के पास पहुँचते ही {V.stop}",
        "{R.obl} में {L.obl} के पास {V.stop}",
        "{R.obl} में {L.obl} की बगल में {V.stand}",
        "{R.obl} में {V.stop}",
    ),
}
_CONNECTIVES = Connectives(
    stop="। ",
    openers=(("", 0.6), ("फिर ", 0.15), ("इसके बाद ", 0.15), ("अब ", 0.1)),
    statement_openers=(("", 0.75), ("अब ", 0.25)),
    inner=((" और ", 0.6), (", फिर ", 0.25), (" और फिर ", 0.15)),
    after_participle=((" ", 0.8), (", ", 0.2)),
    participle_share=0.6,
)
_SIDES: dict[str, dict[str, tuple[str, ...]]] = {
    "to": {
        "left": ("बाएँ", "बाईं ओर", "बाईं तरफ़"),
        "right": ("दाएँ", "दाईं ओर", "दाहिनी तरफ़"),
    },
    "at": {"left": ("बाईं ओर", "बाईं तरफ़"), "right": ("दाईं ओर", "दाहिनी तरफ़")},
    "on": {
        "left": ("आपकी बाईं ओर", "आपकी बाईं तरफ़"),
        "right": ("आपकी दाईं ओर", "आपकी दाहिनी तरफ़"),
        "ahead": ("आपके सामने", "आपके ठीक सामने"),
        "behind": ("आपके पीछे", "आपके ठीक पीछे"),
    },
}
# Verb forms that agree with the landmark: (masculine, feminine) singular, then plural.
_AGREEING = {
    "seen": (("दिखेगा", "दिखेगी"), ("दिखेंगे", "दिखेंगी")),
    "will": (("होगा", "होगी"), ("होंगे", "होंगी")),
    "comes": (("आएगा", "आएगी"), ("आएँगे", "आएँगी")),
    "is": (("है", "है"), ("हैं", "हैं")),
}
_GENITIVE = {"m": "का", "m_oblique": "के", "f": "की"}


@cache
def hindi() -> Language:
    """Return the grammar of "hi-IN"."""
    lexicon = load_lexicon("hindi")
    forms = {
        "L": _mention,
        "R": _room,
        "S": lambda side, form: _SIDES[form][side],
        "D": lambda metres, _: [f"{lexicon['numbers'][metres - 1]} मीटर"],
        "O": lambda ordinal, _: [lexicon["ordinals"][ordinal - 1]["m_oblique"]],
    }
    return lexicon_language("hi-IN", "hindi", _PATTERNS, _CONNECTIVES, forms)


def _mention(mention: Mention, form: str) -> list[str]:
    """Return every wording of a mention in a form.

    The form is the direct case ("dir"), the oblique case ("obl"), the genitive particle ("ka") or a
    verb of `_AGREEING`.
    """
    nouns = load_lexicon("hindi")["nouns"][mention.noun]
    return [_noun_form(mention, noun, form) for noun in nouns]


def _noun_form(mention: Mention, noun: dict[str, str], form: str) -> str:
    """Return one wording of a mention, for one synonym of its noun."""
    is_feminine = noun["gender"] == "f"
    if form == "ka":
        return _GENITIVE["f" if is_feminine else "m_oblique"]
    if form in _AGREEING:
        return _AGREEING[form][mention.plural][is_feminine]
    is_oblique = {"dir": False, "obl": True}[form]
    case = "oblique" if is_oblique else "direct"
    if mention.plural:
        case = "plural_oblique" if is_oblique else "plural"
    # Only the masculine singular in the direct case has the ending -ā.
    ending = "f" if is_feminine else "m_oblique" if is_oblique or mention.plural else "m"
    lexicon = load_lexicon("hindi")
    words = []
    if mention.ordinal:
        words.append(lexicon["ordinals"][mention.ordinal - 1][ending])
    if "of" in noun:
        # A colour before the genitive would describe the books instead of their cupboard.
        words += [noun["of"], _GENITIVE[ending]]
    if mention.colour:
        words.append(lexicon["colours"][mention.colour][ending])
    if mention.material:
        words.append(lexicon["materials"][mention.material][ending])
    return " ".join([*words, noun[case]])


def _room(room: str, form: str) -> Sequence[str]:
    """Return every wording of a room in the oblique case ("obl"), or its particle "vala"."""
    entries = load_lexicon("hindi")["rooms"][room]
    if form == "vala":
        return ["वाली" if entry["gender"] == "f" else "वाले" for entry in entries]
    return [entry[{"obl": "oblique"}[form]] for entry in entries]

"""Hindi: verb-final clauses with postpositions, agreement in gender, number and case.

Adjectives, ordinals and the genitive agree with the noun. A noun before a postposition takes the
oblique case. Verbs are honorific imperatives (मुड़ें or मुड़िए, the same form throughout a text)
or, before another clause, conjunctive participles (मुड़कर).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from clipnav.envs.houses.language.acts import Mention
from clipnav.envs.houses.language.grammar import Language
from clipnav.envs.houses.language.grammars.lexicon import load_lexicon
from clipnav.envs.houses.language.grammars.lexicon_language import lexicon_language
from clipnav.envs.houses.language.wording_files import load_wording

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
        "S": lambda side, form: load_wording("hindi")["sides"][form][side],
        "D": lambda metres, _: [f"{lexicon['numbers'][metres - 1]} मीटर"],
        "O": lambda ordinal, _: [lexicon["ordinals"][ordinal - 1]["m_oblique"]],
    }
    return lexicon_language("hi-IN", "hindi", forms)


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

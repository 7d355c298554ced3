"""Languages of the built-in instructions, by RxR's tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Any

from clipnav.envs.houses.language.acts import Mention
from clipnav.envs.houses.language.grammar import Connectives, Language, Verb, indefinite_article
from clipnav.envs.houses.language.grammars.lexicon import load_lexicon
from clipnav.envs.houses.language.wording_files import load_wording
from clipnav.storage.errors import UserError

_FEET = {2: "six", 3: "ten", 4: "twelve", 5: "fifteen", 6: "twenty", 8: "twenty-five", 9: "thirty"}
_GROUP = re.compile(r"<(\w+)>")
_PLURAL_ENDINGS = (("lf", "lves"), ("ey", "eys"), ("y", "ies"), ("ch", "ches"), ("sh", "shes"))
# Verb forms that agree with the landmark: (masculine, feminine) singular, then plural.
_HINDI_AGREEING = {
    "seen": (("दिखेगा", "दिखेगी"), ("दिखेंगे", "दिखेंगी")),
    "will": (("होगा", "होगी"), ("होंगे", "होंगी")),
    "comes": (("आएगा", "आएगी"), ("आएँगे", "आएँगी")),
    "is": (("है", "है"), ("हैं", "हैं")),
}
_GENITIVE = {"m": "का", "m_oblique": "के", "f": "की"}
# Verb forms that agree with the landmark: singular, plural.
_TELUGU_AGREEING = {
    "seen": ("కనిపిస్తుంది", "కనిపిస్తాయి"),
    "appears": ("కనబడుతుంది", "కనబడతాయి"),
    "is": ("ఉంది", "ఉన్నాయి"),
    "will": ("ఉంటుంది", "ఉంటాయి"),
}
_CASES = {"nom": "nominative", "gen": "genitive", "acc": "accusative"}
_PLURAL_CASES = {"nom": "plural", "gen": "plural_genitive", "acc": "plural_accusative"}
_ROOM_CASES = {"in": "in", "into": "into", "from": "from", "gen": "genitive"}
TAGS = ("en-US", "en-IN", "hi-IN", "te-IN")
R2R_TAG = "en-US"  # language of R2R-style texts


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


_PLURAL_ENDINGS += (("x", "xes"), ("ss", "sses"))


@cache
def english(tag: str) -> Language:
    """Return the grammar of "en-US" or "en-IN"."""
    lexicon, wording = load_lexicon("english"), load_wording("english")
    variety = wording["varieties"].get(tag, {})
    patterns = {
        kind: tuple(
            _GROUP.sub(lambda name: f"({wording['groups'][name[1]]})", pattern)
            for pattern in (*variety.get(kind, ()), *common)
        )
        for kind, common in wording["patterns"].items()
    }
    adjectives = {
        ("" if key == "any" else key): words for key, words in wording["adjectives"].items()
    }
    return lexicon_language(
        tag,
        "english",
        {
            "L": lambda mention, form: _english_mention(tag, mention, form),
            "R": lambda room, _: [f"the {name}" for name in room_names(tag, room)],
            "S": lambda side, form: wording["sides"][form][side],
            "D": lambda metres, _: [_distance(tag, metres)],
            "O": lambda ordinal, _: wording["ordinals"][lexicon["ordinals"][ordinal - 1]],
        },
        patterns,
        writes_capitals=True,
        adjectives=adjectives,
        fillers=frozenset(
            word for words in adjectives.values() for phrase in words for word in phrase.split()
        ),
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


def _plural(singular: str) -> str:
    for ending, plural in _PLURAL_ENDINGS:
        if singular.endswith(ending):
            return singular.removesuffix(ending) + plural
    return f"{singular}s"


def _english_mention(tag: str, mention: Mention, form: str) -> list[str]:
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


@cache
def hindi() -> Language:
    """Return the grammar of "hi-IN": verb-final clauses with postpositions.

    Adjectives, ordinals and the genitive agree with the noun in gender, number and case. A noun
    before a postposition takes the oblique case. Verbs are honorific imperatives (मुड़ें or मुड़िए, the
    same form throughout a text) or, before another clause, conjunctive participles (मुड़कर).
    """
    lexicon = load_lexicon("hindi")
    forms = {
        "L": _hindi_mention,
        "R": _room,
        "S": lambda side, form: load_wording("hindi")["sides"][form][side],
        "D": lambda metres, _: [f"{lexicon['numbers'][metres - 1]} मीटर"],
        "O": lambda ordinal, _: [lexicon["ordinals"][ordinal - 1]["m_oblique"]],
    }
    return lexicon_language("hi-IN", "hindi", forms)


def _hindi_mention(mention: Mention, form: str) -> list[str]:
    """Return every wording of a mention in a form.

    The form is the direct case ("dir"), the oblique case ("obl"), the genitive particle ("ka") or a
    verb of `_HINDI_AGREEING`.
    """
    nouns = load_lexicon("hindi")["nouns"][mention.noun]
    return [_noun_form(mention, noun, form) for noun in nouns]


def _noun_form(mention: Mention, noun: dict[str, str], form: str) -> str:
    """Return one wording of a mention, for one synonym of its noun."""
    is_feminine = noun["gender"] == "f"
    if form == "ka":
        return _GENITIVE["f" if is_feminine else "m_oblique"]
    if form in _HINDI_AGREEING:
        return _HINDI_AGREEING[form][mention.plural][is_feminine]
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


@cache
def telugu() -> Language:
    """Return the grammar of "te-IN": verb-final clauses; the lexicon lists the case endings.

    Verbs are honorific imperatives (తిరగండి) or, before another clause, participles (తిరిగి). Nouns for
    objects are neuter, so that verbs agree with them in number only.
    """
    lexicon = load_lexicon("telugu")
    forms = {
        "L": _telugu_mention,
        "R": lambda room, form: [entry[_ROOM_CASES[form]] for entry in lexicon["rooms"][room]],
        "S": lambda side, form: load_wording("telugu")["sides"][form][side],
        "D": lambda metres, _: [f"{lexicon['numbers'][metres - 1]} మీటర్లు"],
        "O": lambda ordinal, _: lexicon["ordinals"][ordinal - 1],
    }
    return lexicon_language("te-IN", "telugu", forms)


def _telugu_mention(mention: Mention, form: str) -> Sequence[str]:
    """Return every wording of a mention in a case, or the agreeing verb in its number."""
    if form in _TELUGU_AGREEING:
        return [_TELUGU_AGREEING[form][mention.plural]]
    lexicon = load_lexicon("telugu")
    case = (_PLURAL_CASES if mention.plural else _CASES)[form]
    return noun_phrases(
        lexicon["ordinals"][mention.ordinal - 1] if mention.ordinal else [""],
        lexicon["colours"][mention.colour] if mention.colour else [""],
        lexicon["materials"][mention.material] if mention.material else [""],
        [noun[case] for noun in lexicon["nouns"][mention.noun]],
    )


@cache
def language_of(tag: str) -> Language:
    """Return the grammar of a language."""
    if tag not in TAGS:
        raise UserError(f"language '{tag}' has no grammar; choose one of {', '.join(TAGS)}")
    if tag == "hi-IN":
        return hindi()
    return telugu() if tag == "te-IN" else english(tag)

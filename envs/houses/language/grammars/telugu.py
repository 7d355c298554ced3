"""Telugu: verb-final clauses; the lexicon lists each noun with its case endings.

Verbs are honorific imperatives (తిరగండి) or, before another clause, participles (తిరిగి). Nouns for
objects are neuter, so that verbs agree with them in number only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from clipnav.envs.houses.language.acts import Mention
from clipnav.envs.houses.language.grammar import Connectives, Language
from clipnav.envs.houses.language.grammars.lexicon import load_lexicon
from clipnav.envs.houses.language.grammars.lexicon_language import lexicon_language, noun_phrases

_PATTERNS: dict[str, tuple[str, ...]] = {
    "turn": ("{S.to} {V.turn}", "మీ {S.to} {V.turn}"),
    "slight": ("కొంచెం {S.to} {V.turn}", "కాస్త {S.to} {V.turn}", "కొద్దిగా {S.to} {V.turn}"),
    "around": ("వెనక్కి {V.turn}", "పూర్తిగా వెనక్కి {V.turn}"),
    "straight": (
        "నేరుగా {V.go}",
        "తిన్నగా ముందుకు {V.walk}",
        "నేరుగా ముందుకు {V.proceed}",
        "సుమారు {D.unit} నేరుగా {V.walk}",
        "దాదాపు {D.unit} ముందుకు {V.go}",
    ),
    "past": (
        "{L.acc} {V.cross}",
        "{L.gen} పక్క నుండి {V.go}",
        "{L.gen} పక్కగా ముందుకు {V.walk}",
        "{S.at} ఉన్న {L.acc} {V.cross}",
        "{S.at} ఉన్న {L.gen} పక్క నుండి ముందుకు {V.walk}",
    ),
    "toward": ("{L.gen} వైపు {V.walk}", "{L.gen} వైపుగా {V.go}", "{L.gen} దిశగా {V.walk}"),
    "reach": ("{L.gen} వరకు {V.walk}", "{L.gen} దగ్గరకు {V.go}", "{L.acc} {V.reach}"),
    "across": ("{L.gen} మీదుగా {V.walk}", "{L.gen} మీద నుండి {V.go}"),
    "through": (
        "{R.gen} గుండా {V.go}",
        "{R.in} ముందుకు {V.walk}",
        "{R.in} సుమారు {D.unit} ముందుకు {V.walk}",
    ),
    "along": (
        "{R.gen} వెంట {V.walk}",
        "{R.in} నేరుగా ముందుకు {V.go}",
        "{R.gen} వెంట సుమారు {D.unit} {V.walk}",
        "{R.in} దాదాపు {D.unit} నేరుగా {V.go}",
    ),
    "end": (
        "{R.gen} చివరి వరకు {V.walk}",
        "{R.gen} చివరి దాకా {V.go}",
        "{R.gen} అవతలి చివరకు {V.go}",
    ),
    "leave": ("{R.from} బయటకు {V.go}", "{R.from} బయటకు {V.come}"),
    "enter": (
        "{R.into} {V.go}",
        "{R.into} {V.enter}",
        "{R.into} అడుగు పెట్టి లోపలికి {V.go}",
        "{L.nom} ఉన్న {R.into} {V.go}",
        "{L.nom} ఉన్న {R.into} {V.enter}",
    ),
    "door": (
        "{S.at} ఉన్న {O.nth} ద్వారం గుండా {V.go}",
        "{S.at} ఉన్న {O.nth} ద్వారంలోంచి {V.go}",
    ),
    "up": ("మెట్లు {V.climb}", "మెట్ల మీదుగా పైకి {V.go}"),
    "down": ("మెట్లు {V.descend}", "మెట్ల మీదుగా కిందికి {V.go}"),
    "at": (
        "మీరు {R.in} ఉన్నారు",
        "మీరు ప్రస్తుతం {R.in} ఉన్నారు",
        "మీరు {R.in} ఉన్నారు, {S.on} {L.nom} {L.is*}",
        "మీరు ప్రస్తుతం {R.in} ఉన్నారు, {S.on} {L.nom} {L.is*}",
    ),
    "see": (
        "{S.on} {L.nom} {L.seen*}",
        "{S.on} {L.nom} {L.is*}",
        "{S.on} {L.nom} {L.will*}",
        "{S.on} {L.nom} {L.appears*}",
    ),
    "stop": (
        "{L.gen} దగ్గర {V.stop}",
        "{L.gen} పక్కన {V.stop}",
        "{L.gen} పక్కన {V.stand}",
        "{L.gen} దగ్గరకు చేరుకోగానే {V.stop}",
        "{R.in} {L.gen} దగ్గర {V.stop}",
        "{R.in} {L.gen} పక్కన {V.stand}",
        "{R.in} {V.stop}",
    ),
}
_CONNECTIVES = Connectives(
    stop=". ",
    openers=(("", 0.55), ("తర్వాత ", 0.15), ("ఆ తర్వాత ", 0.15), ("ఇప్పుడు ", 0.15)),
    statement_openers=(("", 0.75), ("ఇప్పుడు ", 0.25)),
    inner=((", ", 1.0),),
    after_participle=((", ", 0.5), (" ", 0.3), (", తర్వాత ", 0.2)),
    participle_share=1.0,
)
_SIDES: dict[str, dict[str, tuple[str, ...]]] = {
    "to": {"left": ("ఎడమవైపు", "ఎడమవైపుకు"), "right": ("కుడివైపు", "కుడివైపుకు")},
    "at": {"left": ("ఎడమవైపు", "ఎడమ పక్కన"), "right": ("కుడివైపు", "కుడి పక్కన")},
    "on": {
        "left": ("మీ ఎడమవైపు", "మీకు ఎడమ పక్కన"),
        "right": ("మీ కుడివైపు", "మీకు కుడి పక్కన"),
        "ahead": ("మీ ముందు", "మీకు ఎదురుగా"),
        "behind": ("మీ వెనుక", "మీ వెనకాల"),
    },
}
# Verb forms that agree with the landmark: singular, plural.
_AGREEING = {
    "seen": ("కనిపిస్తుంది", "కనిపిస్తాయి"),
    "appears": ("కనబడుతుంది", "కనబడతాయి"),
    "is": ("ఉంది", "ఉన్నాయి"),
    "will": ("ఉంటుంది", "ఉంటాయి"),
}
_CASES = {"nom": "nominative", "gen": "genitive", "acc": "accusative"}
_PLURAL_CASES = {"nom": "plural", "gen": "plural_genitive", "acc": "plural_accusative"}
_ROOM_CASES = {"in": "in", "into": "into", "from": "from", "gen": "genitive"}


@cache
def telugu() -> Language:
    """Return the grammar of "te-IN"."""
    lexicon = load_lexicon("telugu")
    forms = {
        "L": _mention,
        "R": lambda room, form: [entry[_ROOM_CASES[form]] for entry in lexicon["rooms"][room]],
        "S": lambda side, form: _SIDES[form][side],
        "D": lambda metres, _: [f"{lexicon['numbers'][metres - 1]} మీటర్లు"],
        "O": lambda ordinal, _: lexicon["ordinals"][ordinal - 1],
    }
    return lexicon_language("te-IN", "telugu", _PATTERNS, _CONNECTIVES, forms)


def _mention(mention: Mention, form: str) -> Sequence[str]:
    """Return every wording of a mention in a case, or the verb of `_AGREEING` in its number."""
    if form in _AGREEING:
        return [_AGREEING[form][mention.plural]]
    lexicon = load_lexicon("telugu")
    case = (_PLURAL_CASES if mention.plural else _CASES)[form]
    return noun_phrases(
        lexicon["ordinals"][mention.ordinal - 1] if mention.ordinal else [""],
        lexicon["colours"][mention.colour] if mention.colour else [""],
        lexicon["materials"][mention.material] if mention.material else [""],
        [noun[case] for noun in lexicon["nouns"][mention.noun]],
    )

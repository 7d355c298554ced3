"""Telugu: verb-final clauses; the lexicon lists each noun with its case endings.

Verbs are honorific imperatives (తిరగండి) or, before another clause, participles (తిరిగి). Nouns for
objects are neuter, so that verbs agree with them in number only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from clipnav.envs.houses.language.acts import Mention
from clipnav.envs.houses.language.grammar import Language
from clipnav.envs.houses.language.grammars.lexicon import load_lexicon
from clipnav.envs.houses.language.grammars.lexicon_language import lexicon_language, noun_phrases
from clipnav.envs.houses.language.wording_files import load_wording

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
        "S": lambda side, form: load_wording("telugu")["sides"][form][side],
        "D": lambda metres, _: [f"{lexicon['numbers'][metres - 1]} మీటర్లు"],
        "O": lambda ordinal, _: lexicon["ordinals"][ordinal - 1],
    }
    return lexicon_language("te-IN", "telugu", forms)


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

"""German: articles and adjectives in three cases, and contractions with "zu"."""

from typing import Any

from clipnav.vl_tasks.house_tasks.languages.lexicons import Entry

_DEFINITE = {"m": "der", "f": "die", "n": "das"}
_INDEFINITE = {
    "nominative": {"m": "ein", "f": "eine", "n": "ein"},
    "accusative": {"m": "einen", "f": "eine", "n": "ein"},
    "dative": {"m": "einem", "f": "einer", "n": "einem"},
}
# Endings of adjectives after the indefinite article.
_ENDINGS = {
    "nominative": {"m": "er", "f": "e", "n": "es"},
    "accusative": {"m": "en", "f": "e", "n": "es"},
    "dative": {"m": "en", "f": "en", "n": "en"},
}
_CASES = {
    "indefinite": "nominative",
    "indefinite_accusative": "accusative",
    "indefinite_dative": "dative",
}


def german(noun: Entry, colour: Any, form: str) -> str:
    """Return a form of a German noun phrase."""
    gender, singular = noun["gender"], noun["singular"]
    if form in _CASES:
        case = _CASES[form]
        words = [_INDEFINITE[case][gender]]
        if colour is not None:
            words.append(colour + _ENDINGS[case][gender])
        return " ".join([*words, singular if case == "nominative" else _oblique(noun)])
    if form == "definite":
        return f"{_DEFINITE[gender]} {singular}"
    if form == "definite_genitive":
        return f"der {singular}" if gender == "f" else f"des {noun['genitive']}"
    if form == "to_definite":
        return f"{'zur' if gender == 'f' else 'zum'} {_oblique(noun)}"
    if form == "plural":
        return noun["plural"]
    raise ValueError(f"no form {form!r} of German nouns")


def _oblique(noun: Entry) -> str:
    return noun.get("oblique", noun["singular"])

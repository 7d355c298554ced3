"""French and Spanish: articles, elision, contractions and agreement of colours."""

from collections.abc import Callable
from typing import Any

from clipnav.vl_tasks.house_tasks.languages.lexicons import Entry

_VOWELS = "aeiouyàâéèêëîïôùûh"


def french(noun: Entry, colour: Any, form: str) -> str:
    """Return a form of a French noun phrase."""
    feminine = noun["gender"] == "f"
    if form == "pronoun":
        return "elle" if feminine else "il"
    if form == "of_plural":
        return ("d'" if _elides(noun) else "de ") + noun["plural"]
    phrase = _coloured(noun, colour)
    if form == "indefinite":
        return f"{'une' if feminine else 'un'} {phrase}"
    if form == "definite":
        return f"l'{phrase}" if _elides(noun) else f"{'la' if feminine else 'le'} {phrase}"
    if form == "of_definite":
        if _elides(noun):
            return f"de l'{phrase}"
        return f"{'de la' if feminine else 'du'} {phrase}"
    raise ValueError(f"no form {form!r} of French nouns")


def spanish(noun: Entry, colour: Any, form: str) -> str:
    """Return a form of a Spanish noun phrase.

    Args:
        form: "indefinite" (un sofá), "definite" (el sofá), "of_definite" (del sofá, de la silla),
            "plural" (sofás) or "how_many" (cuántos, cuántas).
    """
    feminine = noun["gender"] == "f"
    forms: dict[str, Callable[[], str]] = {
        "indefinite": lambda: f"{'una' if feminine else 'un'} {_coloured(noun, colour)}",
        "definite": lambda: f"{'la' if feminine else 'el'} {_coloured(noun, colour)}",
        "of_definite": lambda: f"{'de la' if feminine else 'del'} {_coloured(noun, colour)}",
        "plural": lambda: noun["plural"],
        "how_many": lambda: "cuántas" if feminine else "cuántos",
    }
    return forms[form]()


def _coloured(noun: Entry, colour: Any) -> str:
    return noun["singular"] if colour is None else f"{noun['singular']} {colour[noun['gender']]}"


def _elides(noun: Entry) -> bool:
    """Return whether articles are elided before a French noun."""
    return noun["singular"][0].lower() in _VOWELS and not noun.get("aspirated", False)

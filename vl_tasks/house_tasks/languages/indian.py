"""Hindi and Telugu, with the nouns of the navigation instructions."""

from typing import Any

from clipnav.vl_tasks.house_tasks.languages.lexicons import Entry

# Words that agree with a Hindi noun, masculine and feminine.
_AGREEING = {
    "how_many": ("कितने", "कितनी"),
    "seen": ("दिख रहा", "दिख रही"),
    "seen_plural": ("दिख रहे", "दिख रही"),
    "of": ("का", "की"),
}
_GENITIVE = {"m": "का", "m_oblique": "के", "f": "की"}


def hindi(noun: Entry, colour: Any, form: str) -> str:
    """Return a form of a Hindi noun phrase, or a word that agrees with the noun."""
    feminine = noun["gender"] == "f"
    if form in _AGREEING:
        return _AGREEING[form][feminine]
    # Only the masculine singular in the direct case has the ending -ā.
    ending = "f" if feminine else "m" if form == "direct" else "m_oblique"
    words = [noun["of"], _GENITIVE[ending]] if "of" in noun else []
    if colour is not None:
        words.append(colour[ending])
    return " ".join([*words, noun[form]])


def telugu(noun: Entry, colour: Any, form: str) -> str:
    """Return a form of a Telugu noun phrase."""
    return noun[form] if colour is None else f"{colour[0]} {noun[form]}"

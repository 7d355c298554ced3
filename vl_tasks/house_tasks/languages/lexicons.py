"""Read the lexicons: JSON files with the nouns, rooms, colours and frames of a language."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from clipnav.envs.houses.language.grammars.lexicon import load_lexicon
from clipnav.storage.errors import UserError

ENGLISH = "en"
LANGUAGES_FOLDER = "languages"  # within a data folder: further languages by their code
# Names of the files by the code of the language (ISO 639-1); English has no lexicon here.
_FILES = {"fr": "french", "de": "german", "es": "spanish", "hi": "hindi", "te": "telugu"}
LANGUAGES = (ENGLISH, *_FILES)
_FOLDER = Path(__file__).resolve().parent / "lexicons"

Entry = dict[str, Any]


@dataclass(frozen=True)
class Lexicon:
    """Words and frames of a language.

    Attributes:
        language: Code of the language.
        nouns: Synonyms of each thing by its English name; each has the forms that the grammar of
            the language needs.
        rooms: The same for rooms.
        colours: Forms of each colour by its English name.
        sides: Adverbials of "left", "middle" and "right".
        questions: Frames of each kind of question. A field such as {0.definite} is a form of a
            noun of the subject.
        captions: Frames of captions by their contents: "room 1" mentions a room, {r.indefinite},
            and one thing.
    """

    language: str
    nouns: dict[str, list[Entry]]
    rooms: dict[str, list[Entry]]
    colours: dict[str, Any]
    sides: dict[str, str]
    questions: dict[str, list[str]]
    captions: dict[str, list[str]]


def check_languages(languages: tuple[str, ...]) -> None:
    """Check the languages of the house tasks."""
    if not languages:
        raise UserError(f"--languages: give at least one of {', '.join(LANGUAGES)}")
    for number, language in enumerate(languages):
        if language not in LANGUAGES:
            raise UserError(
                f"--languages: '{language}' has no lexicon; choose from {', '.join(LANGUAGES)}"
            )
        if language in languages[:number]:
            raise UserError(f"--languages: '{language}' occurs twice; remove one of them")


@cache
def lexicon_of(language: str) -> Lexicon:
    """Read the lexicon of a language other than English.

    The nouns, rooms and colours of Hindi and Telugu are those of the navigation instructions, with
    "names" for things that these call by another name, and with further nouns.
    """
    if language not in _FILES:
        raise UserError(f"'{language}' has no lexicon; choose from {', '.join(_FILES)}")
    content = json.loads((_FOLDER / f"{_FILES[language]}.json").read_text(encoding="utf-8"))
    if "base" in content:
        base = load_lexicon(content.pop("base"))
        nouns = dict(base["nouns"])
        nouns |= {name: base["nouns"][other] for name, other in content.pop("names").items()}
        content["nouns"] = nouns | content["nouns"]
        content |= {"rooms": base["rooms"], "colours": base["colours"]}
    return Lexicon(language, **content)

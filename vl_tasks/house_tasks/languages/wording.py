"""Wording of questions and captions in a language with a lexicon."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from clipnav.envs.houses.views.captions import pick
from clipnav.vl_tasks.house_tasks.languages.german import german
from clipnav.vl_tasks.house_tasks.languages.indian import hindi, telugu
from clipnav.vl_tasks.house_tasks.languages.lexicons import Entry, lexicon_of
from clipnav.vl_tasks.house_tasks.languages.romance import french, spanish

_FIELD = re.compile(r"\{(\w+)\.(\w+)\}")
_FORMS: dict[str, Callable[[Entry, Any, str], str]] = {
    "fr": french,
    "de": german,
    "es": spanish,
    "hi": hindi,
    "te": telugu,
}
_FULL_STOPS = {"hi": "।"}


class PlannedQuestion(NamedTuple):
    """Meaning of a question, the same in all languages.

    Attributes:
        kind: Kind of the question.
        subject: English names of the things that it mentions.
        answer: Its answer in English, which the wording does not depend on.
    """

    kind: str
    subject: tuple[str, ...]
    answer: str


class PlannedThing(NamedTuple):
    """A thing that a caption mentions.

    Attributes:
        name: English name.
        colour: English name of its colour; "" if it is not mentioned.
        side: "left", "middle" or "right".
    """

    name: str
    colour: str
    side: str


def word_questions(
    language: str, questions: Sequence[PlannedQuestion], rng: np.random.Generator
) -> list[str]:
    """Return the texts of questions in a language.

    The frames of a kind, and thereby the question words, are dealt out in turn to the questions
    with the same subject and answer, so that they are equally frequent for all answers.
    """
    frames = lexicon_of(language).questions
    turns: dict[PlannedQuestion, int] = {}
    texts = []
    for question in questions:
        choices = frames[question.kind]
        turn = turns.get(question)
        turns[question] = int(rng.integers(len(choices))) if turn is None else turn + 1
        frame = choices[turns[question] % len(choices)]
        texts.append(_question_text(language, frame, question, rng))
    return texts


def _question_text(
    language: str, frame: str, question: PlannedQuestion, rng: np.random.Generator
) -> str:
    lexicon = lexicon_of(language)
    subject = list(question.subject)
    if question.kind == "nearer" and rng.random() < 0.5:
        subject.reverse()
    nouns = {str(k): _pick_entry(lexicon.nouns[name], rng) for k, name in enumerate(subject)}
    return _capitalised(_filled(language, frame, {key: (x, None) for key, x in nouns.items()}))


def word_caption(
    language: str, things: Sequence[PlannedThing], room: str, rng: np.random.Generator
) -> str:
    """Return a caption of an image as a sentence."""
    lexicon = lexicon_of(language)
    shown = f"{'room ' if room else ''}{len(things)}" if things else "bare"
    frame = pick(tuple(lexicon.captions[shown]), rng)
    phrases: dict[str, tuple[Entry, Any]] = {}
    for number, thing in enumerate(things):
        noun = _pick_entry(lexicon.nouns[thing.name], rng)
        phrases[str(number)] = noun, lexicon.colours[thing.colour] if thing.colour else None
        frame = frame.replace(f"{{{number}.side}}", lexicon.sides[thing.side])
    if room:
        phrases["r"] = _pick_entry(lexicon.rooms[room], rng), None
    return _capitalised(_filled(language, frame, phrases)) + _FULL_STOPS.get(language, ".")


def _pick_entry(synonyms: Sequence[Entry], rng: np.random.Generator) -> Entry:
    return synonyms[int(rng.integers(len(synonyms)))]


def _filled(language: str, frame: str, phrases: Mapping[str, tuple[Entry, Any]]) -> str:
    """Replace the fields of a frame by forms of nouns with their colours."""
    form_of = _FORMS[language]

    def form(match: re.Match[str]) -> str:
        key, name = match.groups()
        return form_of(*phrases[key], name)

    return _FIELD.sub(form, frame)


def _capitalised(text: str) -> str:
    """Return a text whose first letter is a capital, after a question mark of Spanish."""
    start = text.startswith("¿")
    return text[:start] + text[start : start + 1].upper() + text[start + 1 :]

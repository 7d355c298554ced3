"""Texts of the house tasks in further languages, in the formats of VQA v2 and LXMERT.

The folder languages/LANGUAGE contains the questions of each split, with the ids of the English
ones, whose annotations they share, and pairs for pre-training.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from clipnav.envs.houses.views.captions import pick
from clipnav.vl_tasks.data.questions import Question, write_question_file
from clipnav.vl_tasks.house_tasks.balance import Example
from clipnav.vl_tasks.house_tasks.captions import CAPTIONS, largest_things, side_of
from clipnav.vl_tasks.house_tasks.files import HouseTaskFiles, write_pairs
from clipnav.vl_tasks.house_tasks.images import HouseImage
from clipnav.vl_tasks.house_tasks.languages.lexicons import ENGLISH, LANGUAGES, Entry, lexicon_of

_MAX_THINGS = 2  # in a caption
_WITH_ROOM = 0.5  # share of captions that name the room, if it is clearly visible
_COLOURED = 0.7  # share of things whose colour is mentioned
_VOWELS = "aeiouyàâéèêëîïôùûh"
# Words that agree with a Hindi noun, masculine and feminine.
_AGREEING = {
    "how_many": ("कितने", "कितनी"),
    "seen": ("दिख रहा", "दिख रही"),
    "seen_plural": ("दिख रहे", "दिख रही"),
    "of": ("का", "की"),
}
_GENITIVE = {"m": "का", "m_oblique": "के", "f": "की"}
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
_FIELD = re.compile(r"\{(\w+)\.(\w+)\}")
_FULL_STOPS = {"hi": "।"}


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


def german(noun: Entry, colour: Any, form: str) -> str:
    """Return a form of a German noun phrase."""
    gender, singular = noun["gender"], noun["singular"]
    if form in _CASES:
        case = _CASES[form]
        words = [_INDEFINITE[case][gender]]
        if colour is not None:
            words.append(colour + _ENDINGS[case][gender])
        return " ".join([*words, _german_noun(noun, case)])
    if form == "definite":
        return f"{_DEFINITE[gender]} {singular}"
    if form == "definite_genitive":
        return f"der {_german_noun(noun, 'dative')}" if gender == "f" else f"des {noun['genitive']}"
    if form == "to_definite":
        return f"{'zur' if gender == 'f' else 'zum'} {_german_noun(noun, 'dative')}"
    if form == "plural":
        return noun["plural"]
    raise ValueError(f"no form {form!r} of German nouns")


def _german_noun(noun: Entry, case: str) -> str:
    """Return the singular; weak nouns have an "oblique" one, those with an adjective a "dative"."""
    if case == "nominative":
        return noun["singular"]
    return noun.get(case, noun.get("oblique", noun["singular"]))


_FORMS: dict[str, Callable[[Entry, Any, str], str]] = {
    "fr": french,
    "de": german,
    "es": spanish,
    "hi": hindi,
    "te": telugu,
}


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
    language: str, questions: Sequence[Example], rng: np.random.Generator
) -> list[str]:
    """Return the texts of questions in a language.

    The frames of a kind, and thereby the question words, are dealt out in turn to the questions
    with the same subject and answer, so that they are equally frequent for all answers.
    """
    lexicon = lexicon_of(language)
    turns: dict[tuple[str, ...], int] = {}
    texts = []
    for question in questions:
        choices = lexicon.questions[question.kind]
        key = (*question.wording, question.answer)
        turns[key] = turns[key] + 1 if key in turns else int(rng.integers(len(choices)))
        frame = choices[turns[key] % len(choices)]
        subject = list(question.subject)
        if question.kind == "nearer" and rng.random() < 0.5:
            subject.reverse()
        nouns = [_pick_entry(lexicon.nouns[name], rng) for name in subject]
        phrases = {str(k): (noun, None) for k, noun in enumerate(nouns)}
        texts.append(_sentence(language, frame, phrases))
    return texts


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
    return _sentence(language, frame, phrases) + _FULL_STOPS.get(language, ".")


def _pick_entry(synonyms: Sequence[Entry], rng: np.random.Generator) -> Entry:
    return synonyms[int(rng.integers(len(synonyms)))]


def _sentence(language: str, frame: str, phrases: Mapping[str, tuple[Entry, Any]]) -> str:
    """Replace the fields of a frame by forms of nouns with their colours."""
    form_of = _FORMS[language]
    text = _FIELD.sub(lambda match: form_of(*phrases[match[1]], match[2]), frame)
    start = text.startswith("¿")  # before the capital
    return text[:start] + text[start : start + 1].upper() + text[start + 1 :]


def write_language(
    files: HouseTaskFiles,
    split: str,
    language: str,
    questions: Sequence[tuple[Example, Question]],
    images: Sequence[HouseImage],
    rng: np.random.Generator,
) -> None:
    """Write the questions and the pre-training pairs of a split in a language."""
    own = files.in_language(language)
    own.folder.mkdir(parents=True, exist_ok=True)
    texts = word_questions(language, [question for question, _ in questions], rng)
    records = [
        replace(record, text=text) for (_, record), text in zip(questions, texts, strict=True)
    ]
    write_question_file(records, own.questions(split), "houses", split)
    captions = {image.image_id: _captions(language, image, rng) for image in images}
    labelled: dict[int, list[tuple[str, dict[str, float]]]] = {}
    for record in records:
        label = {record.majority_answer: 1.0}
        labelled.setdefault(record.image_id, []).append((record.text, label))
    write_pairs(own, split, images, captions, {"vqa": labelled})


def remove_other_languages(
    files: HouseTaskFiles, languages: Sequence[str], splits: Sequence[str]
) -> None:
    """Remove the files of languages that are not written again.

    Their texts would describe the images of an earlier call, whose ids and names the new ones have.
    """
    for language in set(LANGUAGES) - {ENGLISH, *languages}:
        own = files.in_language(language)
        for split in splits:
            own.questions(split).unlink(missing_ok=True)
            own.pairs(split).unlink(missing_ok=True)


def _captions(language: str, image: HouseImage, rng: np.random.Generator) -> list[str]:
    """Return captions of an image, each about at most two things of other names.

    Half of them also name the room, if these things are in it.
    """
    captions = []
    for _ in range(CAPTIONS):
        room = image.room if rng.random() < _WITH_ROOM else ""
        things = largest_things(image, in_room=bool(room))
        count = min(len(things), int(rng.integers(1, _MAX_THINGS + 1)))
        chosen = sorted(rng.permutation(len(things))[:count].tolist())
        planned = [
            PlannedThing(
                things[k].name,
                things[k].colour if rng.random() < _COLOURED else "",
                side_of(things[k]),
            )
            for k in chosen
        ]
        captions.append(word_caption(language, planned, room if planned else "", rng))
    return captions

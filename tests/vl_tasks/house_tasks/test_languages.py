"""Questions and captions about the houses in languages with a lexicon."""

import dataclasses
import hashlib
import json
import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from clipnav.envs.houses.furnishing.room_sets import FURNISHERS
from clipnav.envs.houses.furniture import CATEGORIES
from clipnav.envs.houses.materials.colours import COLOUR_NAMES
from clipnav.envs.houses.plan.elements import STAIRWELL
from clipnav.envs.houses.views.captions import SYNONYMS
from clipnav.vl_tasks.data.questions import read_questions
from clipnav.vl_tasks.house_tasks.balance import Example
from clipnav.vl_tasks.house_tasks.files import HouseTaskFiles, write_house_questions
from clipnav.vl_tasks.house_tasks.generation import FORMAT, HouseTasksConfig
from clipnav.vl_tasks.house_tasks.images import HouseImage, thing_name
from clipnav.vl_tasks.house_tasks.language_files import (
    PlannedThing,
    french,
    german,
    hindi,
    spanish,
    telugu,
    word_caption,
    word_questions,
    write_language,
)
from clipnav.vl_tasks.house_tasks.languages.lexicons import LANGUAGES, lexicon_of
from clipnav.vl_tasks.house_tasks.questions import generate_questions

OTHERS = LANGUAGES[1:]
IMAGE = HouseImage(1, "", "", (), "", frozenset())
STRUCTURE = ("window", "entrance door", "closed door", "stairs", "railing")
THINGS = sorted({thing_name(category) for category in (*CATEGORIES, *STRUCTURE)})
ROOMS = (*FURNISHERS, STAIRWELL)


@pytest.mark.parametrize("language", OTHERS)
def test_lexicons_name_all_things_rooms_and_colours(language):
    lexicon = lexicon_of(language)
    assert set(THINGS) <= lexicon.nouns.keys()
    assert set(ROOMS) <= lexicon.rooms.keys()
    assert set(COLOUR_NAMES) <= lexicon.colours.keys()
    assert lexicon.sides.keys() == {"left", "middle", "right"}
    assert SYNONYMS["sofa"][0] in lexicon.nouns


@pytest.mark.parametrize("language", OTHERS)
def test_no_word_names_two_things(language):
    names = defaultdict(set)
    for name in THINGS:
        for entry in lexicon_of(language).nouns[name]:
            word = entry.get("singular") or entry.get("direct") or entry["nominative"]
            names[entry.get("of", ""), word].add(name)
    assert [word for word, things in names.items() if len(things) > 1] == []


@pytest.mark.parametrize(
    ("language", "name", "of_colour", "form", "expected"),
    [
        ("fr", "kitchen sink", "", "definite", "l'évier"),
        ("fr", "kitchen sink", "", "of_definite", "de l'évier"),
        ("fr", "sofa", "", "of_definite", "du canapé"),
        ("fr", "range hood", "", "of_definite", "de la hotte"),
        ("fr", "aquarium", "", "of_plural", "d'aquariums"),
        ("fr", "range hood", "", "of_plural", "de hottes"),
        ("fr", "door", "", "pronoun", "elle"),
        ("fr", "door", "white", "indefinite", "une porte blanche"),
        ("de", "chair", "red", "indefinite", "ein roter Stuhl"),
        ("de", "chair", "red", "indefinite_accusative", "einen roten Stuhl"),
        ("de", "floor lamp", "red", "indefinite_dative", "einer roten Stehlampe"),
        ("de", "bed", "red", "indefinite", "ein rotes Bett"),
        ("de", "teddy bear", "red", "indefinite_accusative", "einen roten Teddybären"),
        ("de", "floor lamp", "", "to_definite", "zur Stehlampe"),
        ("de", "sofa", "", "definite_genitive", "des Sofas"),
        ("de", "closed door", "white", "indefinite_dative", "einer weißen geschlossenen Tür"),
        ("de", "closed door", "", "definite_genitive", "der geschlossenen Tür"),
        ("de", "chair", "", "plural", "Stühle"),
        ("es", "sofa", "", "of_definite", "del sofá"),
        ("es", "armchair", "", "plural", "sillones"),
        ("es", "chair", "", "how_many", "cuántas"),
        ("es", "chair", "red", "indefinite", "una silla roja"),
        ("hi", "sofa", "blue", "direct", "नीला सोफ़ा"),
        ("hi", "sofa", "blue", "oblique", "नीले सोफ़े"),
        ("hi", "bookshelf", "blue", "direct", "किताबों की नीली अलमारी"),
        ("hi", "bookshelf", "", "how_many", "कितनी"),
        ("te", "mirror", "", "plural", "అద్దాలు"),
        ("te", "bed", "green", "nominative", "ఆకుపచ్చ మంచం"),
    ],
)
def test_words_agree_and_are_contracted(language, name, of_colour, form, expected):
    word = {"fr": french, "de": german, "es": spanish, "hi": hindi, "te": telugu}[language]
    lexicon = lexicon_of(language)
    given = lexicon.colours[of_colour] if of_colour else None
    assert word(lexicon.nouns[name][0], given, form) == expected


@pytest.mark.parametrize("language", OTHERS)
def test_all_frames_can_be_filled(language):
    lexicon, rng = lexicon_of(language), np.random.default_rng(0)
    subjects = {"nearer": 2, "room": 0}
    for kind, frames in lexicon.questions.items():
        for name in THINGS:
            subject = (name, "range hood")[: subjects.get(kind, 1)]
            planned = [Example(kind, subject, "x", IMAGE)] * len(frames)
            texts = word_questions(language, planned, rng)
            assert all(text and "{" not in text for text in texts)
    for name in THINGS:
        for room in ("", *ROOMS):
            things = [PlannedThing(name, "white", "left"), PlannedThing("door", "", "right")]
            for count in (1, 2):
                assert "{" not in word_caption(language, things[:count], room, rng)
    assert word_caption(language, [], "", rng)


def test_words_follow_the_grammar_of_whole_questions():
    def texts(language, kind, *subject):
        planned = [Example(kind, subject, "x", IMAGE)] * 4
        return set(word_questions(language, planned, np.random.default_rng(0)))

    assert texts("fr", "position", "teddy bear") == {
        "L'ours en peluche est-il à gauche, à droite ou au milieu ?",
        "De quel côté se trouve l'ours en peluche ?",
    }
    assert texts("es", "count", "chair") == {
        "¿Cuántas sillas hay?",
        "¿Cuántas sillas se pueden ver?",
    }
    assert texts("de", "colour", "mirror") == {
        "Welche Farbe hat der Spiegel?",
        "Was ist die Farbe des Spiegels?",
    }
    assert "यह कौन सा कमरा है?" in texts("hi", "room")
    assert "ఇది ఏ గది?" in texts("te", "room")


def nouns(language, name):
    """Return all words of the forms of a noun."""
    entries = lexicon_of(language).nouns[name]
    return {word for entry in entries for form in entry.values() for word in str(form).split()}


@pytest.fixture
def written(images, tmp_path):
    """Questions of a split in English, and their files in the other languages."""
    files = HouseTaskFiles(tmp_path)
    questions, _ = generate_questions(images, 900, np.random.default_rng(0))
    records = write_house_questions(files, "train", questions)
    meanings = [question for question, _ in questions]
    pairs = list(zip(meanings, records, strict=True))
    for language in OTHERS:
        rng = np.random.default_rng([5, LANGUAGES.index(language)])
        write_language(files, "train", language, pairs, images, rng)
    return files, meanings


@pytest.mark.parametrize("language", OTHERS)
def test_wording_does_not_reveal_answers(written, language):
    files, meanings = written
    questions = read_questions(files.in_language(language).questions("train"))
    blind = defaultdict(Counter)
    for question, meaning in zip(questions, meanings, strict=True):
        if meaning.kind in ("existence", "position"):
            # The words without the noun: the frame.
            words = frozenset(question.text.split()) - {*nouns(language, meaning.subject[0])}
            blind[meaning.kind, words][meaning.answer] += 1
    frequent = [answers for answers in blind.values() if answers.total() >= 60]
    assert frequent
    for answers in frequent:
        share = max(answers.values()) / answers.total()
        assert share < 1 / len(answers) + 0.12


@pytest.mark.parametrize("language", OTHERS)
def test_captions_are_sentences_with_one_full_stop(written, language):
    files, _ = written
    records = json.loads(files.in_language(language).pairs("train").read_text())
    for record in records:
        for caption in record["sentf"]["captions"]:
            assert re.search(r"[^\s.।][.।]$", caption), caption
            assert caption.count(".") + caption.count("।") == 1


def test_languages_change_the_cache_but_english_alone_does_not():
    default = HouseTasksConfig()
    settings = dataclasses.asdict(default)
    del settings["languages"], settings["set"]
    text = json.dumps([FORMAT, settings])
    assert default.key == hashlib.sha256(text.encode()).hexdigest()[:12]
    assert HouseTasksConfig(languages=("en", "fr")).key != default.key
    assert HouseTasksConfig(languages=("en", "fr", "de")).key == (
        HouseTasksConfig(languages=("de", "fr")).key
    )


@pytest.mark.parametrize(
    ("languages", "problem"),
    [
        (("en", "xx"), "'xx' has no lexicon; choose from en, fr, de, es, hi, te"),
        (("fr", "fr"), "'fr' occurs twice"),
        ((), "give at least one"),
    ],
)
def test_languages_without_lexicon_are_refused(languages, problem):
    with pytest.raises(ValueError, match=f"--languages: {problem}"):
        HouseTasksConfig(languages=languages)
    with pytest.raises(ValueError, match="'en' has no lexicon"):
        lexicon_of("en")

import re
import unicodedata

import pytest

from clipnav.envs.houses.furniture import MAKERS
from clipnav.envs.houses.language.grammars.languages import TAGS, language_of
from clipnav.envs.houses.language.grammars.lexicon import load_lexicon
from clipnav.envs.houses.language.sight import SPOKEN_NOUNS
from clipnav.envs.houses.materials.colours import COLOUR_NAMES
from clipnav.envs.houses.plan.room_layout import ROOM_KINDS

LEXICONS = ("english", "hindi", "telugu")
MATERIALS = ("wooden", "leather", "fabric", "metal", "glass", "ceramic")
# Objects that are always several, and are therefore never one landmark.
MANY = {"books", "shoes", "toy blocks"}


def _texts(value) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    return [text for item in items for text in _texts(item)]


def test_every_piece_of_furniture_has_a_noun():
    assert set(MAKERS) - MANY <= set(SPOKEN_NOUNS)


@pytest.mark.parametrize("tag", TAGS)
def test_every_noun_room_colour_and_material_has_words(tag):
    language = language_of(tag)
    assert {noun for noun, _ in SPOKEN_NOUNS.values()} == set(language.nouns)
    assert set(ROOM_KINDS) <= set(language.rooms)
    assert set(language.colours) == set(COLOUR_NAMES)
    assert set(language.materials) == set(MATERIALS)


@pytest.mark.parametrize("field", ["nouns", "rooms", "colours", "materials"])
def test_lexicons_have_the_same_keys(field):
    keys = [list(load_lexicon(name)[field]) for name in LEXICONS]
    assert keys[0] == keys[1] == keys[2]


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("hindi", {"gender", "direct", "oblique", "plural", "plural_oblique"}),
        (
            "telugu",
            {
                "nominative",
                "genitive",
                "accusative",
                "plural",
                "plural_genitive",
                "plural_accusative",
            },
        ),
    ],
)
def test_nouns_have_all_their_forms(name, forms):
    for key, synonyms in load_lexicon(name)["nouns"].items():
        for noun in synonyms:
            assert set(noun) - {"of"} == forms, key
            assert all(noun.values()), key
            assert noun.get("gender", "m") in ("m", "f"), key


@pytest.mark.parametrize(
    ("name", "block"), [("hindi", "\u0900-\u097f"), ("telugu", "\u0c00-\u0c7f")]
)
def test_words_are_in_their_own_script(name, block):
    allowed = re.compile(f"[{block}\u200c -]+")
    for text in _texts(load_lexicon(name)):
        assert allowed.fullmatch(text) or text in ("m", "f"), text
        assert text == text.strip()
        assert "  " not in text


@pytest.mark.parametrize("tag", TAGS)
def test_patterns_are_normalised(tag):
    for text in _texts(dict(language_of(tag).patterns)):
        assert unicodedata.is_normalized("NFC", text)
        assert text == " ".join(text.split())


@pytest.mark.parametrize("name", ["hindi", "telugu"])
def test_lexicon_words_are_normalised(name):
    for text in _texts(load_lexicon(name)):
        assert unicodedata.is_normalized("NFC", text)
        # A vowel sign never follows another vowel sign or begins a word.
        assert not re.search("[\u093e-\u094c][\u093e-\u094c]|[\u0c3e-\u0c4c][\u0c3e-\u0c4c]", text)
        assert not re.search("(^| )[\u093e-\u094d\u0c3e-\u0c4d]", text)

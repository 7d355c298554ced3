import re

import pytest

from clipnav.envs.houses.language.grammar import parse, pattern_fields
from clipnav.envs.houses.language.grammars.languages import TAGS, english, language_of, noun_pairs
from clipnav.envs.houses.language.grammars.lexicon import load_lexicon
from clipnav.envs.houses.language.misspellings import misspellings_of, right_words
from clipnav.envs.houses.language.wording_files import load_wording


@pytest.mark.parametrize("tag", TAGS)
def test_choices_are_nested_correctly_and_contain_no_slots(tag):
    for patterns in language_of(tag).patterns.values():
        for pattern in patterns:
            assert pattern.count("(") == pattern.count(")")
            assert "<" not in pattern
            flat = re.sub(r"\([^()]*\)", "", re.sub(r"\([^()]*\)", "", pattern))
            assert pattern_fields(flat) == pattern_fields(pattern)


def test_english_is_rich():
    wording = load_wording("english")
    nouns = {
        pair for noun in load_lexicon("english")["nouns"] for pair in noun_pairs("en-US", noun)
    }
    assert len(nouns) > 350
    assert sum(map(len, wording["patterns"].values())) > 180
    assert len(english("en-US").fillers) > 100


def test_readers_understand_all_misspellings():
    language = english("en-US")
    for word in ("straight", "hallway", "turn", "the"):
        wrong = [text for text in misspellings_of(word) if text in language.right_words]
        assert len(wrong) > len(word)
        for text in wrong:
            assert language.read(text) == [word]
            assert language.right_words.get(word) is None
    # "pat" might be "past" or "path", and "fist" might be "first": none is a word of these texts.
    assert right_words(["past", "path"]).keys() & {"pat", "paast"} == {"paast"}
    assert "stop" not in right_words(["shop", "stop", "stoop"])


def test_readers_skip_adjectives_and_understand_misspellings():
    language = english("en-US")
    plain = parse(language, "Walk past the sofa and turn left. Stop in the kitchen.")
    assert plain
    adorned = "walk past the comfy lovely soffa then tunr lefft; stop in the spacious kithcen"
    assert parse(language, adorned) == plain

import re

import pytest

from clipnav.envs.houses.language.grammar import parse, pattern_fields, tokens_of
from clipnav.envs.houses.language.grammars.english import english, noun_pairs, room_names
from clipnav.envs.houses.language.grammars.languages import TAGS, language_of
from clipnav.envs.houses.language.grammars.lexicon import load_lexicon
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


def test_misspellings_are_no_words():
    language = english("en-US")
    words = {
        word
        for kind in load_lexicon("english")["nouns"]
        for pair in noun_pairs("en-US", kind)
        for name in pair
        for word in tokens_of(name)
    }
    words |= {
        word
        for room in load_lexicon("english")["rooms"]
        for name in room_names("en-US", room)
        for word in tokens_of(name)
    }
    for patterns in language.patterns.values():
        for pattern in patterns:
            words.update(re.findall(r"[a-z']+", re.sub(r"\{[^}]*\}", " ", pattern)))
    misspelt = [wrong for wrongs in language.misspellings.values() for wrong in wrongs]
    assert len(set(misspelt)) == len(misspelt)
    assert not set(misspelt) & words


def test_readers_skip_adjectives_and_understand_misspellings():
    language = english("en-US")
    plain = parse(language, "Walk past the sofa and turn left. Stop in the kitchen.")
    assert plain
    adorned = "walk past the comfy lovely soffa then trun lefft; stop in the spacious kitchin"
    assert parse(language, adorned) == plain

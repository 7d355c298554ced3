"""Tests of telling generated instructions from people's."""

import pytest

from clipnav.envs.houses.give_aways import tell_apart
from clipnav.storage.errors import UserError


def records(scans, texts):
    return [{"scan": scan, "instructions": texts} for scan in scans]


PLAIN = ["walk to the table", "walk past the sofa and wait", "turn left and stop by the door"]
ODD = ["kindly walk to the table", "kindly walk past the sofa", "turn left, kindly, and stop"]


def test_a_word_that_one_side_alone_has_is_the_strongest_give_away():
    found = tell_apart(records("abcd", ODD), records("efgh", PLAIN), 3, seed=0)
    assert found.words == found.pairs == 1
    assert (found.give_aways[0].feature, found.give_aways[0].theirs) == ("kindly", 0)
    assert len(found.give_aways) == 3


def test_equal_texts_cannot_be_told_apart():
    found = tell_apart(records("abcd", PLAIN), records("efgh", PLAIN), 1, seed=0)
    assert (found.words, found.pairs, found.texts) == (0.5, 0.5, 12)
    assert found.give_aways[0].ours == found.give_aways[0].theirs


def test_punctuation_counts_among_the_pairs_alone():
    commas = [text.replace(" and", ", and") for text in PLAIN] * 2
    found = tell_apart(records("abcd", commas), records("efgh", PLAIN * 2), 1, seed=0)
    assert found.words == 0.5 < found.pairs
    assert found.give_aways[0].feature in (",", ", and")


def test_the_larger_side_is_sampled():
    assert tell_apart(records("ab", PLAIN), records("cdefgh", ODD), 1, seed=1).texts == 6


def test_one_house_is_refused():
    with pytest.raises(UserError, match="at least two houses"):
        tell_apart(records("a", PLAIN), records("bc", PLAIN), 1, seed=0)

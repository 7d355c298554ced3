import numpy as np
import pytest

from clipnav.envs.houses.language.annotators import (
    ANNOTATORS,
    STRAIGHT_WORDS,
    Writer,
    annotators_of,
    draw,
)


def test_annotators_have_different_numbers_and_five_groups():
    people = [person for tag in ANNOTATORS for person in annotators_of(tag)]
    assert [person.number for person in people] == list(range(96))
    for tag in ANNOTATORS:
        assert len({person.habits for person in annotators_of(tag)}) == 5
    habits = {person.habits for person in people}
    assert sum(group.share for group in habits) == pytest.approx(1)


def test_annotators_prefer_their_favourites():
    options = [f"verb{number}" for number in range(12)]
    counts = []
    for person in annotators_of("en-US")[:2]:
        writer = Writer(person, np.random.default_rng(0))
        chosen = [writer.choose("", options) for _ in range(400)]
        counts.append(np.bincount(chosen, minlength=12))
    assert np.abs(counts[0] - counts[1]).sum() > 100


def test_equal_keys_get_the_same_wording_throughout_a_text():
    writer = Writer(annotators_of("en-US")[0], np.random.default_rng(0))
    chosen = {writer.choose("L.sofa", ["sofa", "couch", "settee"]) for _ in range(20)}
    assert len(chosen) == 1


def test_words_about_straight_walks_are_avoided_elsewhere():
    writer = Writer(annotators_of("en-US")[0], np.random.default_rng(0))
    options = ["", *sorted(STRAIGHT_WORDS), "on"]
    writer.is_straight = False
    chosen = {options[writer.choose("", options)] for _ in range(200)}
    assert chosen == {"", "on"}


def test_options_are_drawn_by_weight():
    rng = np.random.default_rng(0)
    drawn = [draw([("a", 1.0), ("b", 0.0), ("c", 3.0)], rng) for _ in range(400)]
    assert drawn.count("b") == 0
    assert drawn.count("c") == pytest.approx(300, abs=40)

from collections import Counter

import numpy as np
import pytest

from clipnav.vl_tasks.classification.answers import normalised
from clipnav.vl_tasks.house_tasks.questions import answers_of, generate_questions


@pytest.fixture(scope="module")
def questions(images):
    return generate_questions(images, 900, np.random.default_rng(0))


def test_answers_are_true(questions):
    """Derive each answer again from the things of the image."""
    for one, text in questions[0]:
        names = Counter(thing.name for thing in one.image.things)
        subject = one.subject[0] if one.subject else ""
        things = one.image.meant(subject)
        if one.kind == "existence":
            assert (subject in names) == (one.answer == "yes")
        elif one.kind == "count":
            assert names[subject] == int(one.answer)
        elif one.kind == "colour":
            assert [thing.colour for thing in things] == [one.answer]
        elif one.kind == "position":
            side = "middle" if abs(things[0].across) <= 0.25 else "right"
            assert one.answer == (side if things[0].across > -0.25 else "left")
        elif one.kind == "nearer":
            distances = {name: one.image.meant(name)[0].distance for name in one.subject}
            assert one.answer == min(distances, key=lambda name: distances[name])
            assert all(name in text for name in one.subject)
        else:
            assert one.answer == one.image.room
        assert one.answer == normalised(one.answer)


def test_a_blind_baseline_answers_by_chance(questions):
    examples, chances = questions
    assert chances["existence"] == chances["nearer"] == 0.5
    assert chances["position"] <= 1 / 3
    assert chances["count"] <= 1 / 3
    assert chances["colour"] <= 1 / 4
    assert chances["room"] <= 1 / 4
    assert chances["all"] <= 0.42
    assert {one.kind for one, _ in examples} == chances.keys() - {"all"}


def test_only_known_answers_are_asked_for(images, questions):
    known = {**answers_of(one for one, _ in questions[0]), "existence": set()}
    known["room"] = set(sorted(known["room"])[:4])
    chosen, chances = generate_questions(images, 900, np.random.default_rng(0), known)
    assert answers_of(one for one, _ in chosen) == {k: v for k, v in known.items() if v}
    assert "existence" not in chances
    assert chances["room"] == 1 / 4

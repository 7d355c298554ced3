from collections import Counter

import numpy as np
import pytest

from vl_tasks.house_tasks.hypotheses import state_hypotheses


@pytest.fixture(scope="module")
def stated(views):
    return state_hypotheses(views, 900, np.random.default_rng(0))


def test_labels_are_true(stated):
    for one, _ in stated[0]:
        view, (first, *rest) = one.view, one.subject
        if one.kind == "room":
            expected = "neutral"
            if view.room:
                expected = "entailment" if view.room == first else "contradiction"
            assert one.label != "neutral" or first in view.rooms
        elif not all(
            view.named(name) for name in ([first, *rest] if one.kind == "nearer" else [first])
        ):
            expected = "neutral"
        elif one.kind == "colour":
            (thing,) = view.named(first)
            expected = "entailment" if thing.colour == rest[0] else "contradiction"
        elif one.kind == "side":
            (thing,) = view.named(first)
            side = "left" if thing.across < 0 else "right"
            expected = "entailment" if side == rest[0] else "contradiction"
        else:
            near, far = (view.named(name)[0].distance for name in one.subject)
            expected = "entailment" if near < far else "contradiction"
        assert one.label == expected


def test_words_alone_are_no_help(stated):
    hypotheses, chances = stated
    assert all(value == pytest.approx(1 / 3) for value in chances.values())
    assert {one.kind for one, _ in hypotheses} == {"colour", "side", "nearer", "room"}
    labels = Counter(one.label for one, _ in hypotheses)
    assert set(labels.values()) == {len(hypotheses) // 3}


def test_sentences(stated):
    for one, text in stated[0]:
        assert text[0].isupper()
        assert text.endswith(".")
        assert "{" not in text
        if one.kind == "colour":
            assert one.subject[1] in text

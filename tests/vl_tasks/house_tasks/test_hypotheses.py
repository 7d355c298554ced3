from collections import Counter

import numpy as np
import pytest

from clipnav.vl_tasks.house_tasks.hypotheses import generate_hypotheses


@pytest.fixture(scope="module")
def hypotheses(images):
    return generate_hypotheses(images, 900, np.random.default_rng(0))


def test_labels_are_true(hypotheses):
    for one, _ in hypotheses[0]:
        image, (first, *rest) = one.image, one.subject
        if one.kind == "room":
            expected = "neutral"
            if image.room:
                expected = "entailment" if image.room == first else "contradiction"
            assert one.answer != "neutral" or first in image.rooms
        elif not all(
            image.meant(name) for name in ([first, *rest] if one.kind == "nearer" else [first])
        ):
            expected = "neutral"
        elif one.kind == "colour":
            (thing,) = image.meant(first)
            expected = "entailment" if thing.colour == rest[0] else "contradiction"
        elif one.kind == "side":
            (thing,) = image.meant(first)
            side = "left" if thing.across < 0 else "right"
            expected = "entailment" if side == rest[0] else "contradiction"
        else:
            near, far = (image.meant(name)[0].distance for name in one.subject)
            expected = "entailment" if near < far else "contradiction"
        assert one.answer == expected


def test_a_blind_baseline_labels_by_chance(hypotheses):
    examples, chances = hypotheses
    assert all(value == pytest.approx(1 / 3) for value in chances.values())
    assert {one.kind for one, _ in examples} == {"colour", "side", "nearer", "room"}
    labels = Counter(one.answer for one, _ in examples)
    assert set(labels.values()) == {len(examples) // 3}

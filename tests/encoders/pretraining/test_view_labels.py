import numpy as np
import pytest
import torch

from clipnav.encoders.pretraining.supervised import (
    LabelNames,
    label_scores,
    labelled_batch,
    single_label_scores,
)
from clipnav.encoders.pretraining.view_sampler import SamplerConfig, ViewSampler
from clipnav.envs.houses.rendering.training_panoramas import HousePictures
from clipnav.envs.houses.views.view_facts import ViewFacts
from clipnav.envs.models.scene import ObjectInfo

NAMES = LabelNames(("bedroom", "kitchen"), ("bed", "sofa", "stove"))
BEDROOM, KITCHEN = ("room", "bedroom"), ("room", "kitchen")
BED, SOFA = ("thing", "bed"), ("thing", "sofa")


def facts(holds, may_hold=(), largest="") -> ViewFacts:
    return ViewFacts(frozenset(holds), frozenset({*holds, *may_hold}), largest)


FACTS = [
    facts({BEDROOM, BED, ("thing", "bed", "blue"), ("glimpse", "kitchen")}, {SOFA}),
    facts({KITCHEN}, {BEDROOM}),
    facts({BEDROOM, KITCHEN}),
    facts({("room", "hallway")}),
    facts(set()),
]


def test_labels_are_certain_facts_and_uncertain_ones_are_excluded():
    # Two room types, an unknown one, and none give no label.
    assert NAMES.room(FACTS).tolist() == [0, 1, -1, -1, -1]
    shown, judged = NAMES.shown(FACTS)
    assert shown[0].tolist() == [True, False, False]
    assert judged[0].tolist() == [True, False, True]
    assert not shown[1:].any()
    assert judged[1:].all()


@pytest.fixture(scope="module")
def house() -> HousePictures:
    ids = np.zeros((2, 64, 128), np.int16)
    ids[:, 26:40, 60:70] = 1
    things = [
        ObjectInfo(k, name, "red", "", 0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        for k, name in enumerate(["wall", "sofa"])
    ]
    colours = np.array([[190, 190, 180], [220, 20, 20]], np.uint8)
    depth = np.ones((2, 64, 128), np.float16)
    return HousePictures("house_00", colours[ids], ids, depth, 1, tuple(things), ("bedroom",))


def test_labelled_views_equal_captioned_views(house: HousePictures):
    sampler = ViewSampler([house], 32, seed=3, config=SamplerConfig(views=16, recoloured=0.0))
    names = LabelNames.of([house])
    for index in (5, 6):
        batch = labelled_batch(sampler, names, index)
        assert torch.equal(batch.images, sampler.batch(index).images)
        _, facts_of_batch, _ = sampler.views(index)
        expected = [("thing", "sofa") in view.holds for view in facts_of_batch]
        assert batch.shown[:, 0].tolist() == expected
        assert batch.shown.any()
        # Views with red pixels show the sofa, or are uncertain.
        red = (batch.images[:, 0] > 2 * batch.images[:, 2]).flatten(1).float().mean(1)
        assert (red[batch.shown[:, 0]] > 0).all()
        assert not batch.judged[(red > 0) & (red < 0.004), 0].any()


def test_label_scores_of_a_known_ranking():
    known = [facts({BEDROOM, BED}), facts({KITCHEN})] * 10 + [facts({BED})]
    rooms = np.array([[1.0, 0.0], [1.0, 0.0]] * 10 + [[0.0, 1.0]])
    things = np.zeros((21, 3))
    things[:, 0] = [3.0, 1.0] * 10 + [2.0]
    scores = label_scores(rooms, things, known, NAMES)
    assert (scores.room_accuracy, scores.room_views) == (0.5, 20)
    # There are too few sofas and stoves to score them.
    assert (scores.thing_precision, scores.thing_categories) == (1.0, 1)


def test_single_label_scores_of_known_logits():
    known = [facts(set(), largest=name) for name in ("bed", "bed", "bed", "sofa", "")]
    logits = np.array([[2.0, 1, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]])
    scores = single_label_scores(logits, known, NAMES)
    assert (scores.accuracy, scores.baseline, scores.views) == (0.75, 0.75, 4)
    assert single_label_scores(logits[4:], known[4:], NAMES).views == 0

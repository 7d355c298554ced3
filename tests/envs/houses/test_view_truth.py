"""What is true of a view: objects, counts, colours, relations and room."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from envs.houses.view_facts import ViewTruth, is_left_of, is_nearer, things_in_view, view_truth


@dataclass(frozen=True)
class Thing:
    category: str
    colour: str
    room: int


FLOOR, WALL, SOFA, CHAIR, CHAIR_TOO, LAMP, FRIDGE = range(7)
OBJECTS = [
    Thing("floor", "brown", 0),
    Thing("wall", "white", 0),
    Thing("sofa", "red", 0),
    Thing("chair", "black", 0),
    Thing("chair", "black", 0),
    Thing("floor lamp", "", 0),
    Thing("fridge", "white", 1),
]
ROOMS = ["living room", "kitchen"]


def picture() -> tuple[np.ndarray, np.ndarray]:
    """A sofa on the left, two chairs on the right, a fridge far away between, a sliver of lamp."""
    ids = np.full((100, 100), WALL, np.int32)
    ids[60:] = FLOOR
    ids[50:80, 5:35] = SOFA
    ids[60:80, 70:80] = CHAIR
    ids[60:80, 85:95] = CHAIR_TOO
    ids[40:60, 48:58] = FRIDGE
    ids[20:40, 62:63] = LAMP
    depth = np.full(ids.shape, 3.0)
    depth[ids == SOFA] = 1.5
    depth[ids == CHAIR] = 1.6
    depth[ids == FRIDGE] = 6.0
    return ids, depth


@pytest.fixture
def truth() -> ViewTruth:
    ids, depth = picture()
    return view_truth(ids, OBJECTS, ROOMS, depth)  # type: ignore[arg-type]


def test_things_are_measured_by_their_pixels(truth: ViewTruth):
    assert [thing.index for thing in truth.things] == [SOFA, CHAIR, CHAIR_TOO, FRIDGE, LAMP]
    sofa = truth.things[0]
    assert sofa.area == pytest.approx(30 * 30 / 10_000)
    assert sofa.across == pytest.approx((5 + 34) / 2 / 99 * 2 - 1)
    assert sofa.upward == pytest.approx(1 - (50 + 79) / 2 / 99 * 2)
    assert sofa.distance == pytest.approx(1.5)


def test_counts_of_what_is_clear(truth: ViewTruth):
    assert truth.count("chair") == 2
    assert truth.count("chair", "black") == 2
    assert truth.count("chair", "red") == 0
    assert truth.count("bed") == 0
    assert truth.count("floor lamp") is None  # 20 pixels of 10,000
    assert truth.single("sofa", "red") is truth.things[0]
    assert truth.single("chair") is None


def test_colours_where_there_is_one(truth: ViewTruth):
    assert truth.colour("sofa") == "red"
    assert truth.colour("chair") == "black"
    assert truth.colour("floor lamp") is None
    assert truth.colour("bed") is None


def test_relations_between_things_that_are_alone_and_clear(truth: ViewTruth):
    said = {(word, a.category, b.category) for word, a, b in truth.relations()}
    assert said == {("left of", "sofa", "fridge"), ("nearer", "sofa", "fridge")}


def test_close_pairs_are_left_undecided(truth: ViewTruth):
    sofa, chair, other, fridge, lamp = truth.things
    assert is_left_of(sofa, chair) is True
    assert is_left_of(chair, sofa) is False
    assert is_left_of(fridge, lamp) is True
    assert is_left_of(lamp, chair) is True
    assert is_nearer(sofa, fridge) is True
    assert is_nearer(fridge, sofa) is False
    assert is_nearer(sofa, chair) is None  # 1.5 and 1.6 m
    assert is_nearer(chair, other) is True
    near = lamp.__class__(**{**lamp.__dict__, "across": lamp.across + 0.1})
    assert is_left_of(lamp, near) is None


def test_room_and_what_it_may_be(truth: ViewTruth):
    assert truth.room == "living room"
    assert truth.rooms == {"living room"}


def test_without_depth_nothing_is_nearer():
    ids, _ = picture()
    truth = view_truth(ids, OBJECTS, ROOMS)  # type: ignore[arg-type]
    assert all(math.isnan(thing.distance) for thing in truth.things)
    assert {word for word, *_ in truth.relations()} == {"left of"}


def test_an_empty_view():
    ids = np.full((10, 10), -1, np.int32)
    assert things_in_view(ids, OBJECTS) == []  # type: ignore[arg-type]
    truth = view_truth(ids, OBJECTS, ROOMS)  # type: ignore[arg-type]
    assert truth == ViewTruth((), "", frozenset())

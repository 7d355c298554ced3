from dataclasses import dataclass

import numpy as np
import pytest

from clipnav.envs.houses.views.captions import (
    SYNONYMS,
    Caption,
    contradict,
    realise_facts,
    room_prompts,
    sample_caption,
    thing_prompts,
)
from clipnav.envs.houses.views.view_facts import ViewFacts, things_in_view, view_facts


@dataclass(frozen=True)
class Thing:
    category: str
    colour: str
    room: int


FLOOR, WALL, SOFA, PLANT, FRIDGE, DOOR, LEG = range(7)
OBJECTS = [
    Thing("floor", "brown", 0),
    Thing("wall", "white", 0),
    Thing("sofa", "red", 0),
    Thing("plant", "green", 0),
    Thing("fridge", "white", 1),
    Thing("door frame", "white", -1),
    Thing("chair", "", 0),
]
ROOMS = ["living room", "kitchen"]


@pytest.fixture
def picture() -> np.ndarray:
    """A red sofa on the left, a plant in the middle, and a fridge visible through a door."""
    ids = np.full((100, 100), WALL, np.int32)
    ids[60:] = FLOOR
    ids[50:80, 5:35] = SOFA
    ids[50:60, 45:55] = PLANT
    ids[30:60, 80:95] = DOOR
    ids[40:60, 82:93] = FRIDGE
    ids[90:92, 60:68] = LEG
    ids[:5] = -1
    return ids


@pytest.fixture
def facts(picture: np.ndarray) -> ViewFacts:
    depth = np.full(picture.shape, 3.0)
    depth[picture == SOFA] = 1.5
    depth[picture == FRIDGE] = 6.0
    depth[picture == -1] = np.inf
    return view_facts(picture, OBJECTS, ROOMS, depth)  # type: ignore[arg-type]


def test_things_are_measured_by_their_pixels(picture: np.ndarray):
    depth = np.where(picture == SOFA, 1.5, 3.0)
    sofa, plant, *_, leg = things_in_view(picture, OBJECTS, depth)  # type: ignore[arg-type]
    assert (sofa.category, plant.category, leg.category) == ("sofa", "plant", "chair")
    assert (sofa.is_clear, leg.is_clear) == (True, False)
    assert sofa.area == pytest.approx(30 * 30 / 10_000)
    assert sofa.across == pytest.approx((5 + 34) / 2 / 99 * 2 - 1)
    assert sofa.distance == pytest.approx(1.5)
    assert things_in_view(np.full((10, 10), -1), OBJECTS) == []  # type: ignore[arg-type]


def test_facts_that_hold(facts: ViewFacts):
    assert facts.holds == {
        ("room", "living room"),
        ("glimpse", "kitchen"),
        ("thing", "sofa"),
        ("thing", "sofa", "red"),
        ("side", "sofa", "left"),
        ("distance", "sofa", "near"),
        ("thing", "plant"),
        ("thing", "plant", "green"),
        ("side", "plant", "middle"),
        ("thing", "fridge"),
        ("thing", "fridge", "white"),
        ("side", "fridge", "right"),
        ("distance", "fridge", "far"),
    }


def test_facts_that_may_hold_include_doubtful_ones(facts: ViewFacts):
    assert facts.holds < facts.may_hold
    assert ("thing", "chair") in facts.may_hold - facts.holds  # 16 pixels of 10,000
    assert ("distance", "plant", "far") in facts.may_hold - facts.holds  # 3 m
    assert ("glimpse", "living room") in facts.may_hold - facts.holds
    for wrong in [("thing", "bed"), ("thing", "sofa", "blue"), ("side", "sofa", "right")]:
        assert wrong not in facts.may_hold


def test_mirroring_an_image_swaps_the_sides(picture: np.ndarray):
    mirrored = view_facts(picture[:, ::-1], OBJECTS, ROOMS)  # type: ignore[arg-type]
    assert ("side", "sofa", "right") in mirrored.holds
    assert ("side", "fridge", "left") in mirrored.holds


def test_without_depth_every_object_may_be_near_or_far(picture: np.ndarray):
    facts = view_facts(picture, OBJECTS, ROOMS)  # type: ignore[arg-type]
    assert not any(fact[0] == "distance" for fact in facts.holds)
    assert {("distance", "sofa", "near"), ("distance", "sofa", "far")} <= facts.may_hold


def test_walls_and_sky_have_bare_facts():
    wall = view_facts(np.full((8, 8), WALL, np.int32), OBJECTS, ROOMS)  # type: ignore[arg-type]
    assert wall.holds == {("bare",)}
    assert ("room", "living room") in wall.may_hold
    sky = view_facts(np.full((8, 8), -1, np.int32), OBJECTS, ROOMS)  # type: ignore[arg-type]
    caption = sample_caption(sky, np.random.default_rng(0))
    assert caption.facts == (("bare",),)


def test_only_identifying_objects_determine_the_room():
    ids = np.full((20, 20), WALL, np.int32)
    ids[5:9, 5:9] = PLANT
    plant = view_facts(ids, OBJECTS, ROOMS)  # type: ignore[arg-type]
    assert ("thing", "plant", "green") in plant.holds
    assert not any(fact[0] == "room" for fact in plant.holds)
    ids[12:16, 5:9] = SOFA
    sofa = view_facts(ids, OBJECTS, ROOMS)  # type: ignore[arg-type]
    assert ("room", "living room") in sofa.holds


def test_captions_state_all_facts_that_hold_and_no_others(facts: ViewFacts):
    rng = np.random.default_rng(0)
    captions = [sample_caption(facts, rng) for _ in range(600)]
    for caption in captions:
        assert caption.facts
        assert set(caption.facts) <= facts.holds
        for fact in caption.facts:
            assert any(name in caption.text for name in SYNONYMS.get(fact[1], (fact[1],)))
    stated = {fact for caption in captions for fact in caption.facts}
    assert stated == facts.holds
    assert len({caption.text for caption in captions}) > 80
    assert max(len(caption.text.split()) for caption in captions) < 16


def test_captions_depend_only_on_the_generator(facts: ViewFacts):
    first = [sample_caption(facts, np.random.default_rng([1, k])) for k in range(20)]
    again = ViewFacts(frozenset(sorted(facts.holds, reverse=True)), facts.may_hold)
    assert first == [sample_caption(again, np.random.default_rng([1, k])) for k in range(20)]


def test_a_contradiction_differs_in_one_word_of_one_fact(facts: ViewFacts):
    rng = np.random.default_rng(0)
    changed = set()
    for caption in [sample_caption(facts, rng) for _ in range(400)]:
        rival = contradict(caption, rng)
        if rival is None:
            assert all(len(fact) == 2 for fact in caption.facts)
            continue
        [(true, false)] = [
            pair for pair in zip(caption.facts, rival.facts, strict=True) if pair[0] != pair[1]
        ]
        assert true[:2] == false[:2]
        assert false not in facts.holds
        changed.add(true[0] if true[0] != "thing" else "colour")
    assert changed == {"colour", "side", "distance"}


def test_a_contradiction_changes_the_text(facts: ViewFacts):
    caption = Caption("a sofa close by", (("distance", "sofa", "near"),))
    rival = contradict(caption, np.random.default_rng(0))
    assert rival is not None
    assert rival.facts == (("distance", "sofa", "far"),)
    assert "far away" in rival.text or "distant" in rival.text
    assert contradict(Caption("a sofa", (("thing", "sofa"),)), np.random.default_rng(0)) is None


def test_captions_do_not_mention_unreliable_colours(facts: ViewFacts):
    doubtful = facts.without_colours()
    rng = np.random.default_rng(0)
    for _ in range(200):
        assert "red" not in sample_caption(doubtful, rng).text
    assert ("thing", "sofa", "red") in doubtful.may_hold


@pytest.mark.parametrize(
    ("facts", "texts"),
    [
        ([("thing", "armchair", "orange")], "an orange armchair"),
        ([("room", "office")], "an office"),
        ([("room", "kitchen"), ("thing", "stool")], "a kitchen with a stool"),
        ([("side", "bed", "left")], "a bed on the left"),
        ([("distance", "bed", "far")], "a distant bed"),
        ([("glimpse", "bathroom")], "a doorway to a bathroom"),
    ],
)
def test_captions_include_the_expected_wording(facts: list[tuple[str, ...]], texts: str):
    rng = np.random.default_rng(0)
    assert texts in {realise_facts(facts, rng) for _ in range(100)}


def test_prompts_use_the_wording_of_captions():
    assert "a photo of a study" in room_prompts("office")
    assert "there is a red couch" in thing_prompts("sofa", "red")
    names = [name for names in SYNONYMS.values() for name in names]
    assert len(names) == len(set(names))

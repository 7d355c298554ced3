import numpy as np
import pytest

from clipnav.envs.houses.language.acts import Act, Mention
from clipnav.envs.houses.language.sight import SPOKEN_NOUNS
from clipnav.envs.houses.language.walking import agrees

NORTH, EAST, SOUTH, WEST = 0.0, np.pi / 2, np.pi, -np.pi / 2
COAT_RACK, BENCH, STATUE, RED_PICTURE, BLUE_PICTURE = 6, 7, 8, 9, 10


def test_angles_are_degrees_clockwise(sight):
    assert sight.relative(EAST, NORTH) == pytest.approx(90)
    assert sight.relative(NORTH, EAST) == pytest.approx(-90)
    assert sight.relative(0.1, 2 * np.pi - 0.1) == pytest.approx(np.degrees(0.2))
    assert sight.angle(0, NORTH, COAT_RACK) == pytest.approx(np.degrees(np.arctan2(-0.8, 3)))
    assert sight.length((0, 1, 2)) == pytest.approx(4)


def test_mentions_fit_by_noun_colour_and_material(sight):
    assert np.flatnonzero(sight.fits(Mention("bed"))).tolist() == [0, 4]
    assert np.flatnonzero(sight.fits(Mention("bed", "red"))).tolist() == [4]
    assert np.flatnonzero(sight.fits(Mention("chair", material="wooden"))).tolist() == [14, 15]
    assert not sight.fits(Mention("chair", material="glass")).any()


def test_ordinals_count_objects_in_front_nearest_first(sight):
    first, second = Mention("painting", ordinal=1), Mention("painting", ordinal=2)
    assert sight.referents(first, 0, NORTH) == [RED_PICTURE]
    assert sight.referents(second, 0, NORTH) == [BLUE_PICTURE]
    assert sight.referents(first, 2, NORTH) == [BLUE_PICTURE]  # the red one is behind
    assert sight.referents(first, 3, SOUTH) == [BLUE_PICTURE]
    assert sight.referents(second, 2, NORTH) == []


def test_a_plural_requires_two_objects(sight):
    assert sight.referents(Mention("chair", plural=True), 8, EAST) == [14, 15]
    assert sight.referents(Mention("bed", plural=True), 7, EAST) == []


def test_sides_are_relative_to_the_heading(sight):
    assert sight.is_on_side("left", 0, NORTH, BENCH) is False  # nearly ahead
    assert sight.is_on_side("ahead", 0, NORTH, BENCH)
    assert sight.is_on_side("left", 3, NORTH, BENCH)
    assert sight.is_on_side("right", 3, SOUTH, COAT_RACK) is False
    assert sight.is_on_side("behind", 5, NORTH, COAT_RACK)


def test_doorways_are_counted_on_one_side_of_the_room(sight):
    assert sight.doorway("right", 1, 1, NORTH) == 17  # the kitchen's; the bedroom's is behind
    assert sight.doorway("right", 2, 1, NORTH) == -1  # the next is still straight ahead
    assert sight.doorway("left", 1, 1, NORTH) == -1
    assert sight.doorway("left", 1, 3, SOUTH) == 17
    assert sight.doorways[2, 8] == 17
    assert (0, 1) not in sight.doorways


def test_only_listed_categories_share_a_noun():
    shared = {"sink": {"kitchen sink", "washbasin"}, "clock": {"grandfather clock", "wall clock"}}
    for noun in {noun for noun, _ in SPOKEN_NOUNS.values()}:
        categories = {category for category, (other, _) in SPOKEN_NOUNS.items() if other == noun}
        assert len(categories) == 1 or categories == shared[noun]


BED, FRIDGE = Mention("bed"), Mention("fridge")
TRUE = [
    (Act("straight"), (0, 1), NORTH),
    (Act("straight", metres=4), (0, 1, 2), NORTH),
    (Act("past", mention=Mention("coat rack")), (1, 2), NORTH),
    (Act("past", mention=Mention("coat rack"), side="left"), (1, 2), NORTH),
    (Act("past", mention=Mention("coat rack"), side="right"), (2, 1), SOUTH),
    (Act("past", mention=Mention("painting", ordinal=2)), (1, 2, 3), NORTH),
    (Act("toward", mention=FRIDGE), (2, 8), EAST),
    (Act("reach", mention=FRIDGE), (2, 8, 9), EAST),
    (Act("along", "hallway"), (0, 1, 2, 3), NORTH),
    (Act("along", "hallway", metres=6), (0, 1, 2, 3), NORTH),
    (Act("end", "hallway"), (1, 2, 3, 4, 5), NORTH),
    (Act("leave", "bedroom"), (7, 6, 0), WEST),
    (Act("enter", "kitchen"), (2, 8), NORTH),
    (Act("enter", "kitchen"), (1, 2, 8), NORTH),
    (Act("enter", "kitchen", FRIDGE), (2, 8), NORTH),
    (Act("door", side="right", ordinal=1), (1, 2, 8), NORTH),
    (Act("up"), (5, 12, 13), NORTH),
    (Act("down"), (13, 12, 5), SOUTH),
    (Act("at", "hallway"), (0,), NORTH),
    (Act("at", "bedroom", BED, "ahead"), (6,), EAST),
    (Act("see", mention=Mention("wardrobe"), side="right"), (6,), EAST),
    (Act("stop", "bedroom", BED), (7,), EAST),
    (Act("stop", mention=Mention("chair", plural=True)), (9,), EAST),
]
FALSE = [
    (Act("straight"), (0, 6), NORTH),  # to the right
    (Act("straight", metres=8), (0, 1, 2), NORTH),
    (Act("past", mention=Mention("coat rack")), (2, 3), NORTH),  # behind by then
    (Act("past", mention=Mention("coat rack"), side="right"), (1, 2), NORTH),
    (Act("past", mention=Mention("coat rack", "red")), (1, 2), NORTH),
    (Act("past", mention=Mention("painting", ordinal=2)), (1, 2), NORTH),
    (Act("toward", mention=FRIDGE), (9, 8), WEST),
    (Act("reach", mention=FRIDGE), (2, 8), EAST),  # not there yet
    (Act("along", "hallway"), (0, 6), NORTH),
    (Act("along", "kitchen"), (0, 1), NORTH),
    (Act("end", "hallway"), (1, 2, 3), NORTH),
    (Act("leave", "kitchen"), (7, 6, 0), WEST),
    (Act("leave", "bedroom"), (7, 6), WEST),
    (Act("enter", "kitchen", BED), (2, 8), NORTH),
    (Act("enter", "bedroom"), (2, 8), NORTH),
    (Act("door", side="left", ordinal=1), (1, 2, 8), NORTH),
    (Act("door", side="right", ordinal=2), (1, 2, 8), NORTH),
    (Act("up"), (5, 12), NORTH),  # the flight continues
    (Act("down"), (5, 12, 13), NORTH),
    (Act("up"), (4, 5, 12, 13), NORTH),  # begins on the level
    (Act("at", "kitchen"), (0,), NORTH),
    (Act("see", mention=Mention("wardrobe"), side="left"), (6,), EAST),
    (Act("see", mention=FRIDGE, side="ahead"), (6,), EAST),
    (Act("stop", "bedroom", Mention("bed", "red")), (7,), EAST),
    (Act("stop", mention=Mention("bed")), (6,), EAST),  # too far
]


@pytest.mark.parametrize(("act", "walk", "facing"), TRUE)
def test_acts_that_fit_a_walk(sight, act, walk, facing):
    assert agrees(sight, act, walk, facing)


@pytest.mark.parametrize(("act", "walk", "facing"), FALSE)
def test_acts_that_do_not_fit_a_walk(sight, act, walk, facing):
    assert not agrees(sight, act, walk, facing)


def test_straight_can_bend_after_a_turn(sight):
    assert agrees(sight, Act("straight"), (0, 6), NORTH, is_turned=True)
    assert not agrees(sight, Act("straight"), (1, 0, 6), NORTH, is_turned=True)


@pytest.mark.parametrize(
    ("turn", "side", "degrees", "leads"),
    [
        ("turn", "right", 90, True),
        ("turn", "left", 90, False),
        ("turn", "left", -90, True),
        ("turn", "right", 10, False),
        ("slight", "left", -40, True),
        ("slight", "left", -120, False),
        ("around", "", 180, True),
        ("around", "", -140, True),
        ("around", "", 90, False),
    ],
)
def test_turns_have_a_range_of_angles(sight, turn, side, degrees, leads):
    for facing in (0.0, 2.0, 5.0):
        assert sight.leads_to(turn, side, facing + np.radians(degrees), facing) == leads

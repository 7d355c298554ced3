from dataclasses import replace

import numpy as np
import pytest

from envs.houses.instructions.decisions import enters, guided, open_ways
from envs.houses.survey.clauses import Clause
from envs.houses.survey.landmarks import Landmark
from envs.houses.survey.waymarks import waymark_options

# In the hand-made house the hallway runs north (0 to 5); at 2 a door to the east leads to the
# kitchen (8, 9), at 5 another to a bedroom (10, 11).
TO_KITCHEN = (0, 1, 2, 8, 9)
ALONG = (1, 2, 3, 4, 5)
STOP = Clause("stop", 4, 4, "", Landmark("fridge", "", (2,)))


@pytest.mark.parametrize(
    ("clause", "is_open"),
    [
        (Clause("enter", 2, 3, "kitchen"), False),
        (Clause("turn", 2, 2, side="right"), False),
        (Clause("toward", 2, 3, landmark=Landmark("fridge", "", (2,))), False),
        (Clause("toward", 2, 3, landmark=Landmark("bench", "", (7,))), True),
        (Clause("through", 0, 2, "hallway"), True),  # told before, of what is left behind
        (Clause("enter", 1, 2, "kitchen"), True),
    ],
)
def test_a_way_aside_is_open_until_something_tells_of_it(survey, routes, clause, is_open):
    assert open_ways(survey, routes, TO_KITCHEN, 2, [STOP]) == [3]
    assert open_ways(survey, routes, TO_KITCHEN, 2, [clause, STOP]) == ([3] if is_open else [])


def test_who_is_told_nothing_goes_on_ahead(survey, routes):
    assert open_ways(survey, routes, ALONG, 1, [STOP]) == []
    # A turn that is told where the path goes on does mislead.
    assert open_ways(survey, routes, ALONG, 1, [Clause("turn", 1, 1, side="right"), STOP]) == [8]


def test_nothing_is_ahead_where_one_starts(survey, routes):
    assert open_ways(survey, routes, ALONG[1:], 0, [STOP]) == [1, 8]
    in_the_hall = Clause("through", 0, 3, "hallway")
    assert open_ways(survey, routes, ALONG[1:], 0, [in_the_hall, STOP]) == [1]


def test_turns_tell_left_from_right(survey, routes):
    mirrored = (5, 4, 3, 2, 8)  # southwards the kitchen lies to the left
    left = Clause("turn", 3, 3, side="left")
    assert open_ways(survey, routes, mirrored, 3, [STOP]) == [1]
    assert open_ways(survey, routes, mirrored, 3, [left, STOP]) == []


def test_guidance_closes_every_way_that_something_can_close(survey, routes):
    paths = [path for start in range(17) for path in routes.from_start(start)]
    added = {"enter": 0, "turn": 0, "waymark": 0}
    for number, path in enumerate(path for path in paths if routes.fits_r2r(path)):
        rng = np.random.default_rng(number)
        stop = Clause("stop", len(path) - 1, len(path) - 1, "", Landmark("globe", "", (12,)))
        waymarks = waymark_options(survey, path, rng)
        plan = guided(survey, routes, path, [stop], waymarks, rng)
        assert plan[-1] == stop
        assert [one.first for one in plan] == sorted(one.first for one in plan)
        for step in range(1, len(path) - 1):
            if any(one.first < step for one in plan):
                assert open_ways(survey, routes, path, step, plan) == []
        for one in plan[:-1]:
            assert open_ways(survey, routes, path, one.first, [stop])
            added[one.kind if one.kind in added else "waymark"] += 1
    assert min(added.values()) > 5


def test_a_turn_is_not_the_first_thing_said(survey, routes):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        plan = guided(survey, routes, (1, 2, 8, 9), [STOP], [], rng)
        assert plan[0].kind == "enter"


@pytest.mark.parametrize(
    ("before", "after", "is_said"),
    [
        ("hallway", "kitchen", True),
        ("bedroom", "bedroom", True),
        ("landing", "hallway", True),
        ("hallway", "hallway", False),  # the arms of a bent one
        ("hallway", "staircase", False),  # that one climbs it says so
        ("staircase", "hallway", True),
    ],
)
def test_one_enters_what_is_another_room_to_a_walker(survey, routes, before, after, is_said):
    kinds = list(survey.room_kinds)
    hall, kitchen = (int(survey.rooms[viewpoint]) for viewpoint in (2, 8))
    kinds[hall], kinds[kitchen] = before, after
    house = replace(survey, room_kinds=tuple(kinds))
    assert enters(house, hall, kitchen) == is_said
    assert not enters(house, kitchen, kitchen)


def test_guidance_enters_no_staircase(survey, routes):
    def entered(house):
        plans = (
            guided(house, routes, TO_KITCHEN, [STOP], [], np.random.default_rng(seed))
            for seed in range(20)
        )
        return {one.room for plan in plans for one in plan if one.kind == "enter"}

    kinds = list(survey.room_kinds)
    kinds[survey.rooms[8]] = "staircase"
    assert entered(survey) == {"kitchen"}
    assert entered(replace(survey, room_kinds=tuple(kinds))) == set()

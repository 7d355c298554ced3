from dataclasses import replace

import numpy as np
import pytest

from clipnav.envs.houses.instructions.decisions import (
    add_guidance,
    counts_as_entering,
    rival_neighbours,
)
from clipnav.envs.houses.survey.clauses import Clause
from clipnav.envs.houses.survey.landmarks import Landmark
from clipnav.envs.houses.survey.waymarks import waymark_options

# In the house of conftest.py, the hallway runs north (0 to 5). At 2, a door to the east leads to
# the kitchen (8, 9); at 5, another door leads to a bedroom (10, 11).
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
        (Clause("through", 0, 2, "hallway"), True),  # ends at this step
        (Clause("enter", 1, 2, "kitchen"), True),
    ],
)
def test_a_neighbour_is_a_rival_unless_a_clause_rules_it_out(survey, routes, clause, is_open):
    assert rival_neighbours(survey, routes, TO_KITCHEN, 2, [STOP]) == [3]
    assert rival_neighbours(survey, routes, TO_KITCHEN, 2, [clause, STOP]) == (
        [3] if is_open else []
    )


def test_straight_ahead_needs_no_clause(survey, routes):
    assert rival_neighbours(survey, routes, ALONG, 1, [STOP]) == []
    # A "turn" clause at a step straight ahead is misleading.
    assert rival_neighbours(
        survey, routes, ALONG, 1, [Clause("turn", 1, 1, side="right"), STOP]
    ) == [8]


def test_the_first_step_has_no_direction_ahead(survey, routes):
    assert rival_neighbours(survey, routes, ALONG[1:], 0, [STOP]) == [1, 8]
    in_the_hall = Clause("through", 0, 3, "hallway")
    assert rival_neighbours(survey, routes, ALONG[1:], 0, [in_the_hall, STOP]) == [1]


def test_turns_distinguish_left_from_right(survey, routes):
    mirrored = (5, 4, 3, 2, 8)  # walking south, the kitchen is on the left
    left = Clause("turn", 3, 3, side="left")
    assert rival_neighbours(survey, routes, mirrored, 3, [STOP]) == [1]
    assert rival_neighbours(survey, routes, mirrored, 3, [left, STOP]) == []


def test_guidance_removes_every_rival_after_the_first_clause(survey, routes):
    paths = [path for start in range(17) for path in routes.from_start(start)]
    added = {"enter": 0, "turn": 0, "waymark": 0}
    for number, path in enumerate(path for path in paths if routes.fits_r2r(path)):
        rng = np.random.default_rng(number)
        stop = Clause("stop", len(path) - 1, len(path) - 1, "", Landmark("globe", "", (12,)))
        waymarks = waymark_options(survey, path, rng)
        plan = add_guidance(survey, routes, path, [stop], waymarks, rng)
        assert plan[-1] == stop
        assert [clause.first for clause in plan] == sorted(clause.first for clause in plan)
        for step in range(1, len(path) - 1):
            if any(clause.first < step for clause in plan):
                assert rival_neighbours(survey, routes, path, step, plan) == []
        for clause in plan[:-1]:
            assert rival_neighbours(survey, routes, path, clause.first, [stop])
            added[clause.kind if clause.kind in added else "waymark"] += 1
    assert min(added.values()) > 5


def test_a_plan_does_not_begin_with_a_turn(survey, routes):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        plan = add_guidance(survey, routes, (1, 2, 8, 9), [STOP], [], rng)
        assert plan[0].kind == "enter"


@pytest.mark.parametrize(
    ("before", "after", "is_entered"),
    [
        ("hallway", "kitchen", True),
        ("bedroom", "bedroom", True),
        ("landing", "hallway", True),
        ("hallway", "hallway", False),  # arms of a bent hallway
        ("hallway", "staircase", False),  # "go up the stairs" implies it
        ("staircase", "hallway", True),
    ],
)
def test_entering_requires_a_different_room(survey, routes, before, after, is_entered):
    kinds = list(survey.room_kinds)
    hall, kitchen = (int(survey.rooms[viewpoint]) for viewpoint in (2, 8))
    kinds[hall], kinds[kitchen] = before, after
    house = replace(survey, room_kinds=tuple(kinds))
    assert counts_as_entering(house, hall, kitchen) == is_entered
    assert not counts_as_entering(house, kitchen, kitchen)


def test_guidance_never_enters_a_staircase(survey, routes):
    def entered_rooms(house):
        plans = (
            add_guidance(house, routes, TO_KITCHEN, [STOP], [], np.random.default_rng(seed))
            for seed in range(20)
        )
        return {clause.room for plan in plans for clause in plan if clause.kind == "enter"}

    kinds = list(survey.room_kinds)
    kinds[survey.rooms[8]] = "staircase"
    assert entered_rooms(survey) == {"kitchen"}
    assert entered_rooms(replace(survey, room_kinds=tuple(kinds))) == set()

"""Floor plans: outlines, rooms, openings, stairs, open plans and closed doors."""

import json
from collections import Counter
from itertools import combinations, pairwise

import networkx as nx
import numpy as np
import pytest

from clipnav.envs.houses.plan.elements import STAIRWELL, STOREY_HEIGHT
from clipnav.envs.houses.plan.floor_plan import FloorPlan
from clipnav.envs.houses.plan.room_layout import HALL_KINDS, ROOM_KINDS
from clipnav.envs.houses.plan.storey_plans import FEWEST_ROOMS, MOST_ROOMS, make_floor_plan
from clipnav.envs.houses.plan.wall_openings import outer_walls

SHAPES = [(outline, storeys) for outline in ("rectangle", "l", "t") for storeys in (1, 2)]
SEEDS = (1, 2)


@pytest.fixture(scope="module")
def plans() -> dict[tuple[str, int, int], FloorPlan]:
    return {
        (outline, storeys, seed): make_floor_plan(seed, outline, storeys, seed % 2 == 1)
        for outline, storeys in SHAPES
        for seed in SEEDS
    }


def passage_graph(plan: FloorPlan) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(room.index for room in plan.rooms)
    graph.add_edges_from(o.rooms for o in plan.openings if o.is_passage)
    graph.add_edges_from(flight.rooms for flight in plan.stairs)
    return graph


def test_rooms_of_a_storey_do_not_overlap_and_fill_the_same_outline(plans):
    for (outline, storeys, _), plan in plans.items():
        assert plan.storeys == storeys
        assert plan.is_rectangular == (outline == "rectangle")
        areas = []
        for storey in range(storeys):
            rooms = [room for room in plan.rooms if room.storey == storey]
            areas.append(sum(room.area for room in rooms))
            for a, b in combinations(rooms, 2):
                apart_x = a.x1 <= b.x0 or b.x1 <= a.x0
                assert apart_x or a.y1 <= b.y0 or b.y1 <= a.y0
            for room in rooms:
                x, y = room.centre
                assert plan.room_at(x, y, room.floor) == room.index
                assert plan.room_at(x, y, room.floor + 1.5) == room.index
        assert areas[0] == pytest.approx(areas[-1])
        assert [room.index for room in plan.rooms] == list(range(len(plan.rooms)))


def test_an_outline_has_the_corners_of_its_letter(plans):
    corners = {"rectangle": 4, "l": 6, "t": 8}
    for (outline, _, _), plan in plans.items():
        ends = Counter()
        for room in (room for room in plan.rooms if room.storey == 0):
            for wall in outer_walls(room, plan.rooms, shortest=0.01):
                for along in (wall.start, wall.end):
                    at = (along, wall.position) if wall.axis == "x" else (wall.position, along)
                    ends[wall.axis, *np.round(at, 3)] += 1
        both = {key[1:] for key in ends if ("y", *key[1:]) in ends and ("x", *key[1:]) in ends}
        assert len(both) == corners[outline], outline


def test_every_room_is_reachable_and_required_rooms_exist(plans):
    for (_, storeys, _), plan in plans.items():
        kinds = Counter(room.kind for room in plan.rooms)
        assert FEWEST_ROOMS <= sum(kinds.values()) - kinds[STAIRWELL] <= MOST_ROOMS
        assert 3 <= kinds["bedroom"] <= 5
        assert 2 <= kinds["bathroom"] <= 3
        assert set(kinds) <= set(ROOM_KINDS)
        assert {"hallway", "living room", "kitchen", "dining room"} <= set(kinds)
        assert kinds[STAIRWELL] == (2 if storeys == 2 else 0)
        assert (kinds["landing"] > 0) == (storeys == 2)
        assert nx.is_connected(passage_graph(plan))
        assert sum(opening.kind == "entrance" for opening in plan.openings) == 1


def test_openings_are_in_the_walls_of_their_rooms(plans):
    for plan in plans.values():
        for opening in plan.openings:
            assert 0 <= opening.bottom < opening.top < 2.7
            for room in (plan.rooms[index] for index in opening.rooms if index >= 0):
                across, along = ("y", "x") if opening.axis == "x" else ("x", "y")
                assert room.storey == opening.storey
                assert opening.position in [getattr(room, across + end) for end in "01"]
                assert getattr(room, along + "0") < opening.start
                assert opening.end < getattr(room, along + "1")
            if opening.kind == "door":
                assert opening.swing_room in opening.rooms
                assert opening.hinge in ("start", "end")


def test_openings_of_one_wall_do_not_overlap(plans):
    for plan in plans.values():
        walls: dict[tuple[int, str, float], list[tuple[float, float]]] = {}
        for o in plan.openings:
            walls.setdefault((o.storey, o.axis, o.position), []).append((o.start, o.end))
        for spans in walls.values():
            spans.sort()
            assert all(end < start for (_, end), (start, _) in pairwise(spans))


def test_points_outside_have_no_room(plans):
    plan = plans["rectangle", 1, 1]
    assert plan.room_at(-0.1, 1.0) == -1
    assert plan.room_at(1.0, plan.depth + 0.1) == -1


def test_stops_on_stairs_climb_from_storey_to_storey(plans):
    for plan in plans.values():
        for flights in plan.stairs:
            stops = np.array([flights.end(False, 0.7), *flights.stops, flights.end(True, 0.7)])
            assert (np.diff(stops[:, 2]) > 0.2).all()
            assert tuple(stops[len(stops) // 2]) == flights.landing
            assert all(plan.is_on_stairs(*stop) for stop in stops[1:-1])


def test_the_houses_have_many_kinds_of_rooms(plans):
    assert len({room.kind for plan in plans.values() for room in plan.rooms}) >= 12


def test_closed_doors_join_nothing_and_overlap_nothing(plans):
    count = 0
    for plan in plans.values():
        for door in plan.closed_doors:
            count += 1
            assert not door.is_passage
            for other in plan.openings:
                if other is not door and (other.axis, other.position, other.storey) == (
                    door.axis,
                    door.position,
                    door.storey,
                ):
                    assert other.end < door.start or door.end < other.start
        wells = [plan.rooms[i].kind == STAIRWELL for d in plan.closed_doors for i in d.rooms]
        assert sum(wells) == len(plan.stairs)  # the cupboard below each
    assert count >= len(plans)


def test_stairs_lead_from_hall_to_hall_over_a_landing(plans):
    for plan in plans.values():
        assert len(plan.stairs) == plan.storeys - 1
        for flight in plan.stairs:
            below, above = (plan.rooms[index] for index in flight.rooms)
            assert (below.kind, above.kind) == (STAIRWELL, STAIRWELL)
            assert (below.x0, below.y0, below.x1, below.y1) == (
                above.x0,
                above.y0,
                above.x1,
                above.y1,
            )
            x, y, z = flight.landing
            assert z == STOREY_HEIGHT / 2
            assert below.contains(x, y)
            assert plan.is_on_stairs(x, y, z)
            for upper in (False, True):
                foot = flight.end(upper, 0.5)
                hall = plan.rooms[plan.room_at(*foot)]
                assert hall.kind in HALL_KINDS
                assert hall.storey == upper
                gates = [
                    o
                    for o in plan.openings
                    if o.is_passage and set(o.rooms) == {hall.index, flight.rooms[upper]}
                ]
                assert len(gates) == 1
                across = foot[0] if gates[0].axis == "x" else foot[1]
                assert gates[0].start < across < gates[0].end
            assert 0.16 <= flight.rise <= 0.19


def test_open_plans_have_wide_openings():
    day = {"living room", "kitchen", "dining room"}

    def widths(open_plan: bool) -> list[float]:
        plans = [make_floor_plan(seed, "l", 1, open_plan) for seed in range(4)]
        return [
            o.width
            for plan in plans
            for o in plan.openings
            if o.kind == "arch" and {plan.rooms[i].kind for i in o.rooms} <= day
        ]

    assert np.mean(widths(True)) > 1.3 * np.mean(widths(False))


def test_a_large_plan_round_trips_through_json_and_is_a_function_of_its_seed(plans):
    for (outline, storeys, seed), plan in plans.items():
        assert FloorPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
        if outline == "t":
            assert make_floor_plan(seed, outline, storeys, seed % 2 == 1) == plan


def test_unknown_shapes_are_refused():
    with pytest.raises(ValueError, match="outline 'ring' is none of"):
        make_floor_plan(1, "ring")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 or 2 storeys, not 3"):
        make_floor_plan(1, "l", 3)

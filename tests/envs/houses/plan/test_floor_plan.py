import json
from collections import Counter
from itertools import pairwise

import networkx as nx
import pytest

from clipnav.envs.houses.plan.floor_plan import ROOM_KINDS, FloorPlan, make_floor_plan
from clipnav.envs.houses.plan.wall_openings import PUBLIC_KINDS

SEEDS = range(200)


@pytest.fixture(scope="module")
def plans() -> list[FloorPlan]:
    return [make_floor_plan(seed) for seed in SEEDS]


def passage_graph(plan: FloorPlan) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(room.index for room in plan.rooms)
    graph.add_edges_from(o.rooms for o in plan.openings if o.is_passage)
    return graph


def test_rooms_tile_the_footprint(plans):
    for plan in plans:
        assert sum(room.area for room in plan.rooms) == pytest.approx(plan.width * plan.depth)
        for room in plan.rooms:
            assert 0 <= room.x0 < room.x1 <= plan.width
            assert 0 <= room.y0 < room.y1 <= plan.depth
            assert plan.room_at(*room.centre) == room.index


def test_every_plan_has_the_required_rooms(plans):
    for plan in plans:
        kinds = Counter(room.kind for room in plan.rooms)
        assert 7 <= len(plan.rooms) <= 11
        assert set(kinds) <= set(ROOM_KINDS)
        for kind in ("hallway", "living room", "kitchen", "dining room"):
            assert kinds[kind] == 1
        assert kinds["bathroom"] in (1, 2)
        assert kinds["bedroom"] in (1, 2)
        assert all(kinds[k] == 1 for k in kinds if k not in ("bathroom", "bedroom"))


def test_every_room_is_reachable_without_crossing_private_rooms(plans):
    for plan in plans:
        graph = passage_graph(plan)
        assert nx.is_connected(graph)
        kinds = {room.index: room.kind for room in plan.rooms}
        for room, kind in kinds.items():
            if kind in ("bathroom", "closet"):
                continue
            private = [i for i in kinds if kinds[i] not in PUBLIC_KINDS and i != room]
            assert nx.has_path(graph.subgraph(set(kinds) - set(private)), 0, room)


def test_most_houses_offer_a_choice_of_routes(plans):
    cycles = [passage_graph(plan).number_of_edges() - len(plan.rooms) + 1 for plan in plans]
    assert sum(c >= 1 for c in cycles) > 0.7 * len(plans)


def test_openings_are_in_the_walls_of_their_rooms(plans):
    for plan in plans:
        assert sum(o.kind == "entrance" for o in plan.openings) == 1
        for opening in plan.openings:
            assert 0 <= opening.bottom < opening.top < 2.7
            for index in opening.rooms:
                if index == -1:
                    edges = (0, plan.depth) if opening.axis == "x" else (0, plan.width)
                    assert opening.position in edges
                    continue
                room = plan.rooms[index]
                across, along = ("y", "x") if opening.axis == "x" else ("x", "y")
                sides = [getattr(room, across + end) for end in "01"]
                assert opening.position in sides
                assert getattr(room, along + "0") < opening.start
                assert opening.end < getattr(room, along + "1")
            if opening.kind == "door":
                assert opening.swing_room in opening.rooms
                assert opening.hinge in ("start", "end")


def test_openings_of_one_wall_do_not_overlap(plans):
    for plan in plans:
        walls: dict[tuple[str, float], list[tuple[float, float]]] = {}
        for opening in plan.openings:
            span = (opening.start, opening.end)
            walls.setdefault((opening.axis, opening.position), []).append(span)
        for spans in walls.values():
            spans.sort()
            for (_, end), (start, _) in pairwise(spans):
                assert end < start


def test_plans_are_a_function_of_their_seed_and_differ(plans):
    assert make_floor_plan(7) == plans[7]
    assert len(set(plans)) == len(plans)


def test_json_round_trip(plans):
    assert FloorPlan.from_dict(json.loads(json.dumps(plans[3].to_dict()))) == plans[3]


def test_points_outside_have_no_room(plans):
    assert plans[0].room_at(-0.1, 1.0) == -1
    assert plans[0].room_at(1.0, plans[0].depth + 0.1) == -1

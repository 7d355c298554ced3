from types import SimpleNamespace

import numpy as np
import pytest

from clipnav.connectivity import read_connectivity
from clipnav.envs.graphs.sight import without_shortcuts
from clipnav.envs.houses.building.house import HouseSpec
from clipnav.envs.houses.graph.clearance import ClearanceMap, clearance_map
from clipnav.envs.houses.graph.viewpoints import LONGEST_EDGE, place_viewpoints
from clipnav.envs.houses.meshes.geometry import Material, box
from clipnav.envs.houses.plan.floor_plan import FloorPlan, Opening, Room
from clipnav.envs.houses.shell.assembly import scene_of_fixtures
from clipnav.envs.houses.shell.fixture import Fixture
from clipnav.envs.panoramas.ray_tracer import RayTracer

PLAIN = Material("plain")
TEXTURES = {"plain": np.full((4, 4, 3), 200, np.uint8)}


def _block(category: str, room: int, x0, y0, x1, y1, z0=0.0, z1=2.7) -> Fixture:
    size = (x1 - x0, y1 - y0, z1 - z0)
    middle = ((x0 + x1) / 2, (y0 + y1) / 2, (z0 + z1) / 2)
    return Fixture(category, room, (box(size, PLAIN, middle),))


def two_rooms(*furniture: Fixture) -> SimpleNamespace:
    """Two rooms of 5 x 4 m side by side with a door of 1 m between them."""
    rooms = (Room(0, "bedroom", 0, 0, 5, 4), Room(1, "kitchen", 5, 0, 10, 4))
    door = Opening("door", "y", 5.0, 1.0, 2.0, 0.0, 2.1, (0, 1))
    fixtures = [
        _block("floor", 0, 0, 0, 10, 4, -0.1, 0.0),
        _block("wall", 0, 4.94, 0, 5.06, 1),
        _block("wall", 0, 4.94, 2, 5.06, 4),
        *furniture,
    ]
    return SimpleNamespace(
        spec=HouseSpec("tiny", plan_seed=3, style_seed=4),
        plan=FloorPlan(10, 4, rooms, (door,)),
        scene=scene_of_fixtures(fixtures, TEXTURES),
    )


def _place(house) -> list[dict]:
    return place_viewpoints(house, RayTracer(house.scene))


def _positions(records) -> np.ndarray:
    return np.array([record["pose"] for record in records])[:, [3, 7]]


def test_clearance_is_the_distance_to_walls_and_furniture():
    house = two_rooms(
        _block("table", 0, 2, 3, 3, 4, 0.0, 0.8), _block("rug", 0, 0, 0, 2, 2, 0, 0.02)
    )
    floor = clearance_map(house, RayTracer(house.scene))
    points = np.array([[1.06, 2.0], [2.5, 2.0], [2.5, 3.5], [5.0, 1.5], [5.0, 3.0]])
    assert floor.at(points) == pytest.approx([1.0, 1.0, 0.0, 0.5, 0.0], abs=0.08)


def test_clearance_blocks_a_door_leaf_too_thin_for_the_rays():
    house = two_rooms(_block("door", 0, 4.06, 0.961, 4.94, 0.985, 0, 2.0))
    floor = clearance_map(house, RayTracer(house.scene))
    assert floor.at(np.array([[4.5, 0.97]])) == pytest.approx(0, abs=0.01)


def test_graph_reaches_every_room_and_reads_back_as_connectivity(tmp_path):
    import json

    house = two_rooms(_block("table", 1, 7, 1.5, 8, 2.5, 0.0, 0.8))
    records = _place(house)
    (tmp_path / "tiny_connectivity.json").write_text(json.dumps(records))
    assert read_connectivity("tiny", tmp_path) == records
    rooms = {house.plan.room_at(*point) for point in _positions(records)}
    assert rooms == {0, 1}
    assert all(record["included"] for record in records)
    assert len({record["image_id"] for record in records}) == len(records)


def test_edges_are_short_clear_and_visible():
    house = two_rooms(_block("table", 1, 7, 1.5, 8, 2.5, 0.0, 0.8))
    records = _place(house)
    points = _positions(records)
    tracer = RayTracer(house.scene)
    floor = clearance_map(house, tracer)
    edges = np.argwhere([record["unobstructed"] for record in records])
    assert len(edges) >= 2 * (len(records) - 1)
    for i, j in edges:
        assert np.linalg.norm(points[i] - points[j]) <= LONGEST_EDGE
        assert records[i]["visible"][j]
        assert floor.along(points[i], points[j]) > 0.1


def test_edges_over_a_neighbour_of_both_ends_are_removed():
    eyes = np.array([[0, 0, 1.5], [2, 0.3, 1.5], [4, 0, 1.5], [2, 1.5, 1.5]])
    edges = ~np.eye(4, dtype=bool)
    kept = without_shortcuts(eyes, edges)
    removed = {tuple(pair) for pair in np.argwhere(edges & ~kept)}
    assert removed == {(0, 2), (2, 0)}
    edges[0, 1] = edges[1, 0] = False  # the middle is no neighbour of both ends
    assert (without_shortcuts(eyes, edges) == edges).all()


def test_walls_hide_viewpoints_from_each_other():
    records = _place(two_rooms())
    eyes = np.array([record["pose"] for record in records])[:, [3, 7]]
    for i, j in np.argwhere([record["visible"] for record in records]):
        if (eyes[i, 0] - 5) * (eyes[j, 0] - 5) < 0:
            share = (5 - eyes[i, 0]) / (eyes[j, 0] - eyes[i, 0])
            crossing = eyes[i, 1] + share * (eyes[j, 1] - eyes[i, 1])
            assert 1.0 <= crossing <= 2.0


def test_repair_joins_components_around_a_corner():
    """A tall screen behind the door hides both doorsteps from the rest of the kitchen."""
    screen = _block("wardrobe", 1, 6.5, 0.0, 6.6, 3.2, 0.0, 2.4)
    records = _place(two_rooms(screen))
    assert all(record["included"] for record in records)
    assert (_positions(records)[:, 0] > 7).any()


def test_same_seeds_give_the_same_graph():
    assert _place(two_rooms()) == _place(two_rooms())


def test_unreachable_room_raises_with_house_and_seed():
    blocked = two_rooms(_block("wardrobe", 1, 5.06, 0.0, 5.6, 4.0, 0.0, 2.4))
    with pytest.raises(ValueError, match=r"tiny: no viewpoint reaches kitchen.* 3 in sets\.py"):
        _place(blocked)


def test_clearance_along_a_walk_is_its_minimum():
    clearance = np.full((40, 20), 0.5)
    clearance[20, :] = 0.2
    floor = ClearanceMap(clearance)
    assert floor.along(np.array([0.2, 0.5]), np.array([0.9, 0.5])) == 0.5
    assert floor.along(np.array([0.2, 0.5]), np.array([1.8, 0.6])) == 0.2

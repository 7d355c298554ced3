"""A house of two storeys: closed, walkable, and with clutter."""

from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from clipnav.envs.houses.building.house import (
    House,
    HouseSpec,
    is_saved,
    load_house,
    plan_of,
    save_house,
)
from clipnav.envs.houses.furnishing.placement import Box
from clipnav.envs.houses.furnishing.rooms import ON_TOP, furnish, scatter
from clipnav.envs.houses.graph.viewpoints import LONGEST_EDGE, place_viewpoints
from clipnav.envs.houses.materials.pictures import PICTURES
from clipnav.envs.houses.materials.style import make_style
from clipnav.envs.houses.materials.textures import SURFACES, make_textures
from clipnav.envs.houses.meshes.geometry import Material
from clipnav.envs.houses.plan.elements import EYE_HEIGHT, STAIRWELL, STOREY_HEIGHT, Room
from clipnav.envs.houses.shell.assembly import assemble, lay_floor
from clipnav.envs.houses.shell.structure import build_facade
from clipnav.envs.panoramas.ray_tracer import RayTracer

SPEC = HouseSpec(
    "large_house",
    plan_seed=3102,
    style_seed=4102,
    outline="l",
    storeys=2,
    open_plan=True,
)


NUMBERED = [f"{name}{k}" for name in ("books", "rug", "painting") for k in range(8)]
TEXTURE_NAMES = [*SURFACES, *PICTURES, *NUMBERED, "glass"]


@pytest.fixture(scope="module")
def furnished() -> tuple[House, list, list]:
    """The unlit house, its furniture and its clutter."""
    plan, style = plan_of(SPEC), make_style(SPEC.style_seed)
    placed = furnish(plan, np.random.default_rng(1), style)
    small = scatter(plan, placed, np.random.default_rng(2), style)
    textures = make_textures(SPEC.style_seed)
    scene = assemble(plan, [*placed, *small], style, textures)
    return House(SPEC, plan, scene), placed, small


@pytest.fixture(scope="module")
def house(furnished) -> House:
    return furnished[0]


@pytest.fixture(scope="module")
def tracer(house: House) -> RayTracer:
    return RayTracer(house.scene)


@pytest.fixture(scope="module")
def records(house: House, tracer: RayTracer) -> list[dict]:
    return place_viewpoints(house, tracer)


def test_a_large_house_stays_in_the_triangle_budget(house: House):
    assert len(house.scene.faces) <= 170_000


def test_rays_leave_a_large_house_only_through_windows(house: House, tracer: RayTracer):
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(6000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    categories = np.array([thing.category for thing in house.scene.objects])
    windows = [opening for opening in house.plan.openings if opening.kind == "window"]
    stairs = house.plan.stairs[0]
    eyes = [
        [*room.centre, room.floor + 1.95] for room in house.plan.rooms if room.kind != STAIRWELL
    ]
    eyes.append([*stairs.landing[:2], stairs.landing[2] + EYE_HEIGHT])
    escapes = 0
    for eye in np.array(eyes):
        hits = tracer.trace(eye, directions)
        out = directions[categories[hits.object_id] == "outside"]
        escapes += len(out)
        assert all(any(passes(eye, way, window) for window in windows) for way in out)
    assert escapes > 100


def passes(eye: np.ndarray, direction: np.ndarray, window) -> bool:
    across, along = (1, 0) if window.axis == "x" else (0, 1)
    distance = (window.position - eye[across]) / (direction[across] or 1e-9)
    point = eye + distance * direction
    within = window.start < point[along] < window.end
    above = point[2] - window.floor
    return bool(distance > 0 and within and window.bottom < above < window.top)


def test_the_graph_connects_all_rooms(house: House, records: list[dict]):
    graph = nx.Graph()
    graph.add_nodes_from(range(len(records)))
    for i, record in enumerate(records):
        graph.add_edges_from((i, j) for j, joined in enumerate(record["unobstructed"]) if joined)
    assert nx.is_connected(graph)
    assert all(record["included"] for record in records)
    eyes = np.array([record["pose"] for record in records])[:, [3, 7, 11]]
    rooms = {house.plan.room_at(*eye) for eye in eyes}
    assert rooms >= {room.index for room in house.plan.rooms if room.kind != STAIRWELL}
    lengths = [np.linalg.norm(eyes[i] - eyes[j]) for i, j in graph.edges]
    assert max(lengths) <= LONGEST_EDGE
    assert 2.0 < np.mean(lengths) < 2.5
    assert 3.5 < np.mean([degree for _, degree in graph.degree]) < 5


def test_only_the_stairs_join_the_storeys(house: House, records: list[dict]):
    eyes = np.array([record["pose"] for record in records])[:, [3, 7, 11]]
    heights = eyes[:, 2] - EYE_HEIGHT
    on_stairs = np.array([house.plan.is_on_stairs(*eye) for eye in eyes])
    (flights,) = house.plan.stairs
    assert sorted(heights[on_stairs]) == pytest.approx([z for _, _, z in flights.stops], abs=1e-3)
    assert set(np.round(heights[~on_stairs], 3)) == {0.0, STOREY_HEIGHT}
    for i, j in np.argwhere([record["unobstructed"] for record in records]):
        if not np.isclose(heights[i], heights[j]):
            assert on_stairs[i] or on_stairs[j]


def test_clutter_lies_on_flat_tops_and_on_the_floor(furnished):
    house, placed, small = furnished
    blank = dict.fromkeys(TEXTURE_NAMES, np.zeros((1, 1, 3), np.uint8))
    bare = assemble(house.plan, placed, make_style(SPEC.style_seed), blank)
    tracer = RayTracer(bare)
    assert len(small) >= 20
    tops = 0
    for thing in small:
        x, y, z = thing.position
        tops += not thing.blocks_floor
        hit = tracer.trace(np.array([x, y, z + 0.05]), np.array([[0.0, 0.0, -1.0]]))
        assert hit.distance[0] == pytest.approx(0.05, abs=0.01), thing.item.category
        below = bare.objects[hit.object_id[0]].category
        assert below in (("floor", "rug") if thing.blocks_floor else ON_TOP)
    assert tops >= 6


def test_closed_doors_have_a_leaf_on_both_sides(house: House):
    leaves = [thing for thing in house.scene.objects if thing.category == "closed door"]
    sides = [i for door in house.plan.closed_doors for i in door.rooms]
    assert sorted(leaf.room for leaf in leaves) == sorted(
        i for i in sides if house.plan.rooms[i].kind != STAIRWELL
    )
    for leaf in leaves:
        assert leaf.lower[2] == pytest.approx(house.plan.rooms[leaf.room].floor, abs=0.02)
        assert leaf.colour


def test_files_keep_the_options(house: House, tmp_path: Path):
    save_house(house, tmp_path)
    again = load_house(SPEC.scan, tmp_path)
    assert again.spec == SPEC
    assert again.plan == house.plan
    assert is_saved(SPEC, tmp_path)
    assert not is_saved(HouseSpec(SPEC.scan, SPEC.plan_seed, SPEC.style_seed), tmp_path)
    size = (tmp_path / f"{SPEC.scan}.glb").stat().st_size
    assert size < 6_500_000
    for mine, kept in zip(house.scene.textures, again.scene.textures, strict=True):
        assert mine.shape == kept.shape
        assert np.abs(mine.astype(float) - kept).mean() < 8  # JPEG


def test_an_outline_with_a_recess_has_outer_walls(house: House):
    facade = build_facade(house.plan, make_style(SPEC.style_seed))
    walls = np.concatenate([part.positions for part in facade.parts[:-1]])
    assert walls[:, 2].min() < 0.0
    assert walls[:, 2].max() == pytest.approx(2 * STOREY_HEIGHT, abs=0.02)
    inside = [
        house.plan.room_at(x, y, 1.0) >= 0 and house.plan.room_at(x + 0.13, y + 0.13, 1.0) >= 0
        for x, y, _ in walls[::3]
    ]
    assert np.mean(inside) < 0.75


def test_fine_floors_have_dense_vertices_around_furniture():
    room = Room(0, "office", 0.0, 0.0, 5.0, 4.0)
    box = Box(2.0, 1.0, 3.0, 1.6)
    floor = lay_floor(room, Material("plain"), [box])
    bare = lay_floor(room, Material("plain"), [])
    assert len(bare.faces) < len(floor.faces) < 3 * len(bare.faces)
    x, y, _ = floor.positions[floor.positions[:, 2] > -0.001].T
    near = (np.abs(x - 2.5) < 0.6) & (np.abs(y - 1.3) < 0.4)
    far = (np.abs(x - 2.5) < 0.6) & (np.abs(y - 3.0) < 0.4)
    assert near.sum() > 2 * far.sum()
    a, b, c = np.moveaxis(floor.positions[floor.faces], 1, 0)
    area = np.cross(b - a, c - a)[:, 2] / 2
    assert (area > 0).all()
    on_top = floor.positions[floor.faces][:, :, 2].max(axis=1) > -0.001
    assert area[on_top].sum() == pytest.approx((5 - 0.1) * (4 - 0.1), rel=1e-6)

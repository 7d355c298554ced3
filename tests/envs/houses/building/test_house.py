"""One whole house: complete, closed, lit, and unchanged by a round trip through its files."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clipnav.envs.houses.building import house as house_module
from clipnav.envs.houses.building.house import (
    House,
    HouseSpec,
    build_house,
    ensure_house,
    house_cache_dir,
    is_saved,
    load_house,
    plan_of,
    save_house,
)
from clipnav.envs.houses.furnishing.rooms import furnish
from clipnav.envs.houses.materials.style import make_style
from clipnav.envs.houses.materials.textures import make_textures
from clipnav.envs.houses.rendering import house_panoramas
from clipnav.envs.houses.rendering.contact_sheet import set_sheet
from clipnav.envs.houses.shell.assembly import assemble
from clipnav.envs.panoramas import render_panorama
from clipnav.envs.panoramas.ray_tracer import RayTracer

SPEC = HouseSpec("test_house", plan_seed=5001, style_seed=6001)
VIEWPOINT = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def house() -> House:
    return build_house(SPEC)


@pytest.fixture(scope="module")
def tracer(house: House) -> RayTracer:
    return RayTracer(house.scene)


def eyes(house: House) -> np.ndarray:
    return np.array([[*room.centre, 1.95] for room in house.plan.rooms])


def test_every_room_and_opening_has_its_objects(house: House):
    objects = house.scene.objects
    for category in ("floor", "ceiling", "wall", "skirting"):
        rooms = sorted(o.room for o in objects if o.category == category)
        assert rooms == list(range(len(house.plan.rooms))), category
    kinds = [opening.kind for opening in house.plan.openings]
    for kind, category in (("window", "window"), ("door", "door frame"), ("arch", "archway")):
        count = sum(o.category == category for o in objects)
        others = kinds.count("entrance") + kinds.count("closed door") if kind == "door" else 0
        assert count == kinds.count(kind) + others, category
    assert sum(o.category == "entrance door" for o in objects) == kinds.count("entrance")


def test_arrays_of_a_scene_are_consistent(house: House):
    scene = house.scene
    assert scene.faces.min() == 0
    assert scene.faces.max() == len(scene.positions) - 1
    assert len(scene.faces) <= 120_000
    assert [o.index for o in scene.objects] == list(range(len(scene.objects)))
    assert set(np.unique(scene.face_object)) == set(range(len(scene.objects)))
    for info in scene.objects[::7]:
        corners = scene.positions[np.unique(scene.faces[scene.face_object == info.index])]
        assert corners.min(axis=0) == pytest.approx(info.lower, abs=1e-3)
        assert corners.max(axis=0) == pytest.approx(info.upper, abs=1e-3)


def test_faces_are_wound_as_their_normals(house: House):
    scene = house.scene
    a, b, c = (scene.positions[scene.faces[:, k]] for k in range(3))
    facing = np.einsum("ij,ij->i", np.cross(b - a, c - a), scene.normals[scene.faces].mean(axis=1))
    assert (facing < 0).mean() < 0.001


def test_rays_leave_a_house_only_through_windows(house: House, tracer: RayTracer):
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(20_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    categories = np.array([o.category for o in house.scene.objects])
    windows = [o for o in house.plan.openings if o.kind == "window"]
    escapes = 0
    for eye in eyes(house):
        hits = tracer.trace(eye, directions)
        assert (hits.object_id >= 0).all()
        out = directions[categories[hits.object_id] == "outside"]
        escapes += len(out)
        for direction in out:
            assert any(_passes(eye, direction, window) for window in windows)
    assert escapes > 0


def _passes(eye: np.ndarray, direction: np.ndarray, window) -> bool:
    across, along = (1, 0) if window.axis == "x" else (0, 1)
    if abs(direction[across]) < 1e-9:
        return False
    distance = (window.position - eye[across]) / direction[across]
    point = eye + distance * direction
    return (
        distance > 0
        and window.start < point[along] < window.end
        and window.bottom < point[2] < window.top
    )


def test_every_room_is_bright_enough_and_shaded(house: House):
    scene = house.scene
    for info in (o for o in scene.objects if o.category in ("floor", "wall")):
        vertices = np.unique(scene.faces[scene.face_object == info.index])
        brightness = scene.colours[vertices].max(axis=1)
        assert np.median(brightness) > 0.2, info
        assert np.ptp(brightness) > 0.05, info


def test_assembling_twice_gives_equal_scenes(house: House):
    def assembled():
        style = make_style(6002)
        placed = furnish(house.plan, np.random.default_rng(1), style)
        return assemble(house.plan, placed, style, make_textures(6002))

    first, second = assembled(), assembled()
    assert first.objects == second.objects
    for field in ("positions", "normals", "uvs", "colours", "faces", "face_texture"):
        assert np.array_equal(getattr(first, field), getattr(second, field)), field


def test_house_is_the_same_after_saving_and_loading(
    house: House, tracer: RayTracer, tmp_path: Path
):
    save_house(house, tmp_path)
    again = load_house(SPEC.scan, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["test_house.glb", "test_house.json"]
    assert again.spec == SPEC
    assert again.plan == house.plan
    assert again.scene.objects == house.scene.objects
    eye = eyes(house)[0]
    before, after = (render_panorama(t, eye, 256) for t in (tracer, RayTracer(again.scene)))
    assert np.array_equal(before.object_id, after.object_id)
    assert np.abs(before.rgb.astype(int) - after.rgb).mean() < 2  # JPEG


def test_saved_house_of_other_seeds_does_not_count(house: House, tmp_path: Path):
    assert not is_saved(SPEC, tmp_path)
    save_house(house, tmp_path)
    assert is_saved(SPEC, tmp_path)
    assert not is_saved(HouseSpec(SPEC.scan, SPEC.plan_seed, SPEC.style_seed + 1), tmp_path)


def test_house_whose_saving_was_cut_short_does_not_count(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def killed(*_):
        raise KeyboardInterrupt

    save_house(house, tmp_path)
    monkeypatch.setattr(house_module, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        save_house(replace(house, spec=replace(SPEC, style_seed=1)), tmp_path)
    assert not is_saved(SPEC, tmp_path)


def test_missing_and_damaged_files_are_named(house: House, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"test_house\.glb.*clipnav build-houses"):
        load_house(SPEC.scan, tmp_path)
    save_house(house, tmp_path)
    side_file = tmp_path / "test_house.json"
    record = json.loads(side_file.read_text())
    without_box = [{key: record["objects"][0][key] for key in ("index", "category")}]
    later = {**record["spec"], "garden": True}
    for damaged in (
        '{"spec": ',
        json.dumps({**record, "objects": without_box}),
        json.dumps({**record, "spec": later}),
        json.dumps({**record, "plan": []}),
    ):
        side_file.write_text(damaged)
        with pytest.raises(ValueError, match=r"test_house\.json.*delete it"):
            load_house(SPEC.scan, tmp_path)


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    assert house_cache_dir() == tmp_path / "houses" / f"v{house_module.GENERATOR_VERSION}"


@pytest.fixture
def connectivity_dir(house: House, tmp_path: Path) -> Path:
    x, y = house.plan.rooms[0].centre
    record = {
        "image_id": VIEWPOINT,
        "pose": [1, 0, 0, x, 0, 1, 0, y, 0, 0, 1, 1.5, 0, 0, 0, 1],
        "included": True,
        "visible": [False],
        "unobstructed": [False],
        "height": 1.5,
    }
    (tmp_path / "test_house_connectivity.json").write_text(json.dumps([record]))
    return tmp_path


def test_panoramas_build_a_house_once(
    house: House, connectivity_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog
):
    built = []

    def build(spec: HouseSpec) -> House:
        built.append(spec)
        return house

    monkeypatch.setattr(house_module, "build_house", build)
    caplog.set_level(logging.INFO)
    for _ in range(2):
        source = house_panoramas.HousePanoramas(
            {SPEC.scan: SPEC}, connectivity_dir / "cache", connectivity_dir, width=128
        )
        panorama = source.panorama(SPEC.scan, VIEWPOINT)
    assert built == [SPEC]
    assert "building test_house" in caplog.text
    # Two processes that miss it at the same time.
    monkeypatch.setattr(
        house_module, "is_saved", lambda *_, answers=[False]: answers.pop() if answers else True
    )
    ensure_house(SPEC, connectivity_dir / "cache")
    assert built == [SPEC]
    assert panorama.rgb.shape == (64, 128, 3)
    assert panorama.depth[-1, 0] == pytest.approx(1.5, abs=0.15)


def test_unknown_viewpoint_and_scan_are_named(house: House, connectivity_dir: Path):
    source = house_panoramas.HousePanoramas({SPEC.scan: SPEC}, connectivity_dir, connectivity_dir)
    with pytest.raises(KeyError, match="ffff"):
        source.panorama(SPEC.scan, "f" * 32)
    with pytest.raises(KeyError, match="castle"):
        source.house("castle")


def test_sheet_of_a_set_shows_plans_and_rooms(
    house: House, tracer: RayTracer, connectivity_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    from PIL import Image

    class Source:
        def house(self, _scan: str) -> House:
            return house

        def tracer(self, _scan: str) -> RayTracer:
            return tracer

    monkeypatch.setattr(house_panoramas, "HousePanoramas", Source)
    sheet = connectivity_dir / "sheet.png"
    set_sheet(["test_house"] * 2, sheet, connectivity_dir, tile=(60, 80), rooms=2)
    picture = np.array(Image.open(sheet))
    # One plan each, as no house has a second storey.
    assert picture.shape == (120, 3 * 80, 3)
    tiles = [picture[20:60, start : start + 80] for start in range(0, 240, 80)]
    assert [bool((tile == 255).all()) for tile in tiles] == [False, False, False]
    assert not (picture[:60, 80:] == picture[60:, 80:]).all()  # other rooms in the next row


def test_the_plan_of_a_house_is_drawn_once(monkeypatch: pytest.MonkeyPatch):
    plan_of.cache_clear()
    drawn: list[int] = []
    monkeypatch.setattr(house_module, "make_floor_plan", lambda seed, *_: drawn.append(seed))
    for spec in (SPEC, replace(SPEC), replace(SPEC, plan_seed=7), SPEC):
        plan_of(spec)
    plan_of.cache_clear()
    assert drawn == [SPEC.plan_seed, 7]

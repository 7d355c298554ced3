"""Panoramas for pretraining: their content, and when they are rendered again."""

import os

import numpy as np
import pytest

from clipnav.connectivity import CONNECTIVITY_DIR
from clipnav.envs.houses.building import house as house_module
from clipnav.envs.houses.building.house import House, HouseSpec, house_cache_dir
from clipnav.envs.houses.building.sets import MINI
from clipnav.envs.houses.meshes.geometry import Material, box
from clipnav.envs.houses.plan.floor_plan import FloorPlan, Room
from clipnav.envs.houses.rendering import training_panoramas
from clipnav.envs.houses.rendering.training_panoramas import DESCRIPTION, render_houses
from clipnav.envs.houses.shell.assembly import scene_of_fixtures
from clipnav.envs.houses.shell.fixture import Fixture
from clipnav.storage.errors import UserError

SCAN = "house_00"


def tiny_house(spec):
    """Build a house of a bed on a floor larger than any house, without walls."""
    plain = Material("plain")
    fixtures = [
        Fixture("floor", 0, (box((40, 40, 0.1), plain, (10, 10, -0.1)),)),
        Fixture("bed", 0, (box((2, 1, 0.5), plain, (5, 5, 0)),), "blue"),
    ]
    plan = FloorPlan(10, 10, (Room(0, "bedroom", 0, 0, 10, 10),), ())
    return House(spec, plan, scene_of_fixtures(fixtures, {"plain": np.ones((4, 4, 3), np.uint8)}))


@pytest.fixture
def render(tmp_path, monkeypatch):
    """Return a function that renders house_00 in this process and returns whether it had to."""

    def run_jobs(function, jobs, *_):
        rendered.extend(jobs)
        return [(job, function(job)) for job in jobs]

    def call():
        rendered.clear()
        (pictures,) = render_houses([SCAN], tmp_path / "panoramas", (40, 2), width=8)
        return pictures, bool(rendered)

    rendered = []
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    monkeypatch.setattr(training_panoramas, "run_jobs", run_jobs)
    monkeypatch.setattr(house_module, "build_house", tiny_house)
    return call


def test_panoramas_of_a_house_are_reused(render):
    pictures, rendered = render()
    assert rendered
    assert pictures.viewpoints == 40
    assert pictures.rgb.shape == (40 + 2, 4, 8, 3)
    assert pictures.room_kinds == ("bedroom",)
    assert {thing.category for thing in set(pictures.objects)} == {"floor", "bed"}
    again, rendered = render()
    assert not rendered
    assert np.array_equal(again.rgb, pictures.rgb)


def test_panoramas_are_rendered_again_after_a_change_of_graph_or_house(
    render, tmp_path, monkeypatch
):
    render()
    side_file = house_cache_dir() / f"{SCAN}.json"
    description = next((tmp_path / "panoramas").rglob(DESCRIPTION))
    graph = (CONNECTIVITY_DIR / f"{SCAN}_connectivity.json").stat().st_mtime
    os.utime(side_file, (graph - 2,) * 2)
    os.utime(description, (graph - 1,) * 2)
    assert render()[1]
    os.utime(side_file, (description.stat().st_mtime + 1,) * 2)
    assert render()[1]
    os.utime(side_file, (graph - 2,) * 2)
    assert not render()[1]
    assert isinstance(MINI.specs, dict)
    monkeypatch.setitem(MINI.specs, SCAN, HouseSpec(SCAN, plan_seed=77, style_seed=78))
    assert render()[1]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rgb.npy", b""),
        ("rgb.npy", b"not an array"),
        ("rgb.npy", None),
        ("rgb.npy", b"\x93NUMPY\x01\0\x04\0(((("),
        ("depth.npy", b"\x93NUMPY\x01\0\x04\0\0\0\0\0"),
        ("depth.npy", 200),
        ("object_id.npy", np.zeros((1, 4, 8), np.int16)),
        (DESCRIPTION, b"{}"),
        (DESCRIPTION, b"[1]"),
    ],
)
def test_damaged_panoramas_are_refused_with_their_folder_and_the_remedy(
    render, tmp_path, name, content
):
    render()
    (folder,) = (tmp_path / "panoramas").iterdir()
    path = folder / name
    if content is None:
        path.unlink()
    elif isinstance(content, int):
        path.write_bytes(path.read_bytes()[:content])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(UserError, match=rf"{folder.name}.*{name}.*; delete its folder"):
        render()

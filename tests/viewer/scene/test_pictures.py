import io
import os

import numpy as np
import pytest
from PIL import Image

from envs.graphs.nav_graph import NavGraph
from envs.houses.building.house import house_cache_dir
from envs.worlds import world_files
from viewer.scene import pictures
from viewer.scene.pictures import DrawnPictures, NoPictureError, encode, world_pictures


def test_a_picture_is_drawn_once(tmp_path, grey):
    drawn = []

    def draw(scan, viewpoint, width):
        drawn.append((scan, viewpoint, width))
        return grey(scan, viewpoint, width)

    first = DrawnPictures(draw, lambda scan: tmp_path / scan)
    data = first.jpeg("barn", "b0", 1024)
    assert Image.open(io.BytesIO(data)).size == (1024, 512)
    assert first.jpeg("barn", "b0", 1024) == data
    assert DrawnPictures(draw, lambda scan: tmp_path / scan).jpeg("barn", "b0", 1024) == data
    first.jpeg("barn", "b0", 2048)
    assert drawn == [("barn", "b0", 1024), ("barn", "b0", 2048)]
    assert sorted(path.name for path in (tmp_path / "barn").iterdir()) == [
        "b0_1024.jpg",
        "b0_2048.jpg",
    ]


def test_errors_of_the_renderer_are_reported(tmp_path):
    def draw(scan, viewpoint, width):
        raise FileNotFoundError("skybox of b0 is missing")

    with pytest.raises(NoPictureError, match="skybox of b0 is missing"):
        DrawnPictures(draw, lambda scan: tmp_path).jpeg("barn", "b0", 1024)


def test_a_world_without_skyboxes_shows_only_the_map(tiny_world):
    none = world_pictures(world_files("matterport", tiny_world))
    assert "only the map is shown" in none.note
    with pytest.raises(NoPictureError, match="No skyboxes"):
        none.jpeg("barn", "b0", 1024)


def test_panoramas_have_the_orientation_of_the_building(tiny_world, tmp_path, marked_skybox):
    folder = tmp_path / "scans" / "barn" / "matterport_skybox_images"
    folder.mkdir(parents=True)
    Image.fromarray(marked_skybox(np.eye(3), 128)).save(
        folder / "b0_skybox_small.jpg", quality=97, subsampling=0
    )
    shown = world_pictures(world_files("matterport", tiny_world), tmp_path / "scans")
    assert shown.note == ""
    picture = np.asarray(Image.open(io.BytesIO(shown.jpeg("barn", "b0", 1024))))
    assert picture.shape == (512, 1024, 3)
    # Red grows to the east, green to the north, blue upwards; north is in the middle.
    assert picture[256, 512, 1] > 240
    assert picture[256, 768, 0] > 240
    assert picture[20, 512, 2] > 240


def test_panoramas_are_cached_by_skybox_folder(tiny_world, tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path / "cache"))
    files = world_files("matterport", tiny_world)

    def shown(name, shade):
        folder = tmp_path / name / "barn" / "matterport_skybox_images"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "b0_skybox_small.jpg"
        path.unlink(missing_ok=True)
        Image.fromarray(np.full((64, 384, 3), shade, np.uint8)).save(path)
        os.utime(folder, ns=(shade, shade))  # the clock may be too coarse for two different times
        data = world_pictures(files, tmp_path / name).jpeg("barn", "b0", 1024)
        return np.asarray(Image.open(io.BytesIO(data))).mean()

    assert shown("one", 200) == pytest.approx(200, abs=2)
    assert shown("other", 90) == pytest.approx(90, abs=2)
    assert shown("other", 40) == pytest.approx(40, abs=2)


def test_houses_are_shown_as_they_are_rendered(monkeypatch, tmp_path):
    built = object()
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))

    def tracer(self, scan):
        house_cache_dir().mkdir(parents=True, exist_ok=True)
        (house_cache_dir() / f"{scan}.glb").write_bytes(b"built")
        return built

    monkeypatch.setattr("envs.houses.rendering.house_panoramas.HousePanoramas.tracer", tracer)
    seen = []

    class Rendered:
        rgb = np.full((512, 1024, 3), 90, np.uint8)

    def render(tracer, position, width):
        seen.append((tracer, position.tolist(), width))
        return Rendered

    monkeypatch.setattr("envs.panoramas.render_panorama", render)
    house = pictures.house_pictures()
    viewpoint = "c0d7ca4a4d3c4ae08fd97e4ce6b6ba0c"
    with pytest.raises(NoPictureError, match="no viewpoint"):
        house.jpeg("house_32", viewpoint, 1024)
    graph = NavGraph.load("house_32")
    data = house.jpeg("house_32", graph.viewpoint_ids[3], 1024)
    assert data == encode(Rendered.rgb)
    assert seen == [(built, graph.positions[3].tolist(), 1024)]

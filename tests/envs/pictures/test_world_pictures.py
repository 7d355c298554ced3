import io
import os

import numpy as np
import pytest
from PIL import Image

from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.habitat.client import VARIABLE
from clipnav.envs.houses.building.house import house_cache_dir
from clipnav.envs.panoramas import Panorama
from clipnav.envs.panoramas.cameras import direction
from clipnav.envs.pictures import world_pictures as sources
from clipnav.envs.pictures.panorama_files import (
    NOTHING,
    QUALITY,
    UNKNOWN,
    DrawnPictures,
    NoPictureError,
)
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.envs.pictures.world_pictures import world_pictures
from clipnav.envs.worlds import world_files
from clipnav.storage.pictures import encode_jpeg
from tests.envs.marked_panoramas import centre


def grey_panorama(width, shade=90, depth=2.0):
    size = width // 2, width
    distance = np.full(size, depth, np.float32)
    return Panorama(np.full((*size, 3), shade, np.uint8), distance, np.full(size, -1, np.int32))


def test_a_picture_is_drawn_once(tmp_path):
    drawn = []

    def draw(scan, viewpoint, width):
        drawn.append((scan, viewpoint, width))
        return grey_panorama(width)

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


def test_distances_are_drawn_with_the_colours(tmp_path):
    drawn = []

    def draw(scan, viewpoint, width):
        drawn.append(viewpoint)
        panorama = grey_panorama(width)
        panorama.depth[:] = np.linspace(0, 80, width)
        panorama.depth[:4] = np.inf
        panorama.depth[4:8] = np.nan
        return panorama

    pictures = DrawnPictures(draw, lambda scan: tmp_path / scan)
    distance, rgb = pictures.distance("barn", "b0", 64), pictures.rgb("barn", "b0", 64)
    assert drawn == ["b0"]
    assert distance.dtype == np.uint16
    assert (distance[:4] == NOTHING).all()
    assert (distance[4:8] == UNKNOWN).all()
    expected = (1000 * np.linspace(0, 80, 64)).clip(1, NOTHING)
    np.testing.assert_allclose(distance[8:], np.tile(expected, (24, 1)), atol=0.6)
    np.testing.assert_allclose(rgb, 90, atol=2)
    again = DrawnPictures(draw, lambda scan: tmp_path / scan)
    np.testing.assert_array_equal(again.distance("barn", "b0", 64), distance)
    assert drawn == ["b0"]


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

    monkeypatch.setattr(
        "clipnav.envs.houses.rendering.house_panoramas.HousePanoramas.tracer", tracer
    )
    seen = []

    def render(tracer, position, width):
        seen.append((tracer, position.tolist(), width))
        return grey_panorama(width)

    monkeypatch.setattr("clipnav.envs.panoramas.render_panorama", render)
    house = sources.house_pictures()
    viewpoint = "c0d7ca4a4d3c4ae08fd97e4ce6b6ba0c"
    with pytest.raises(NoPictureError, match="no viewpoint"):
        house.jpeg("house_26", viewpoint, 1024)
    graph = NavGraph.load("house_26")
    data = house.jpeg("house_26", graph.viewpoint_ids[3], 1024)
    assert data == encode_jpeg(grey_panorama(1024).rgb, QUALITY)
    assert seen == [(built, graph.positions[3].tolist(), 1024)]


def test_habitat_draws_3d_models(tiny_world, tmp_path, monkeypatch, habitat_python):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path / "cache"))
    (tmp_path / "attic.glb").touch()
    files = world_files("matterport", tiny_world)
    pictures = sources.shared_pictures(files, "habitat", tmp_path, 32, np.pi / 3)
    poses = [ViewPose("attic", "a0", 0.7, 0.3), ViewPose("attic", "a0", 4.0)]
    ways = [direction(pose.heading, pose.elevation) for pose in poses]
    assert ((centre(pictures.rgb(poses)) * ways).sum(-1) > np.cos(0.03)).all()
    middle = pictures.depth(poses)[:, 15:17, 15:17]
    np.testing.assert_allclose(middle, 3.0, rtol=0.01)  # a ball of 3 m in the fake
    with pytest.raises(ValueError, match="requires the folder of its 3D models"):
        sources.shared_pictures(files, "habitat")


def test_pictures_of_habitat_are_kept_by_configuration_and_model(
    tiny_world, tmp_path, habitat_python
):
    stage, model = tmp_path / "attic.stage_config.json", tmp_path / "loft.glb"
    stage.write_text('{"render_asset": "loft.glb"}')
    model.touch()
    kept = sources._habitat_pictures(world_files("matterport", tiny_world), tmp_path)._folder
    folders = {kept("attic")}
    for file in (stage, model):
        os.utime(file, ns=(1, 1))
        folders.add(kept("attic"))
    assert len(folders) == 3


def test_habitat_must_be_installed(tiny_world, tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="habitat-sim is not installed"):
        sources.shared_pictures(world_files("matterport", tiny_world), "habitat", tmp_path)

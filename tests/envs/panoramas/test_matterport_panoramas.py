"""Panoramas and views of skyboxes whose colours encode their directions."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipnav.envs.mattersim.rendering import Renderer
from clipnav.envs.panoramas.cameras import direction, perspective_camera
from clipnav.envs.panoramas.matterport_panoramas import MatterportPanoramas
from clipnav.envs.panoramas.skyboxes import METRES_PER_DEPTH_UNIT, skybox_dir
from clipnav.storage.features.view_grid import view_direction

# A pose as in Matterport3D: the y axis points down, and the camera is rotated and tilted.
HEADING, TILT = 2.1, 0.05
TOLERANCE = np.cos(0.03)


def pose() -> np.ndarray:
    right, ahead = direction(HEADING + np.pi / 2, 0.0), direction(HEADING, TILT)
    rotation = np.eye(4)
    rotation[:3, :3] = np.column_stack([-right, -np.cross(right, ahead), -ahead])
    return rotation


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, marked_skybox) -> Path:
    """Folder with the scan "lab": viewpoint `v` has a skybox and depth, `w` only a skybox."""
    folder = tmp_path_factory.mktemp("matterport")
    skyboxes = skybox_dir(folder, "lab")
    skyboxes.mkdir(parents=True)
    records = []
    for i, viewpoint in enumerate("vw"):
        flags = [j != i for j in range(2)]
        records.append(
            {
                "image_id": viewpoint,
                "pose": pose().ravel().tolist(),
                "included": True,
                "visible": flags,
                "unobstructed": flags,
                "height": 1.5,
            }
        )
        with (skyboxes / f"{viewpoint}_skybox_small.jpg").open("wb") as file:
            faces = marked_skybox(pose()[:3, :3], size=128)
            Image.fromarray(faces).save(file, format="PNG")
    (folder / "lab_connectivity.json").write_text(json.dumps(records))
    depth = np.full((128, 768), round(2.5 / METRES_PER_DEPTH_UNIT), np.uint16)
    depth[:, 140:240] = 0  # unknown, in the middle of face 1
    Image.fromarray(depth).save(skyboxes / "v_skybox_depth_small.png")
    return folder


@pytest.fixture(scope="module")
def panoramas(world: Path) -> MatterportPanoramas:
    return MatterportPanoramas(world, world, width=256)


def seen(rgb: np.ndarray) -> np.ndarray:
    """Return the directions that colours encode."""
    looks = (rgb.astype(float) - 127.5) / 127
    return looks / np.linalg.norm(looks, axis=-1, keepdims=True)


def test_every_pixel_of_a_view_has_the_direction_of_the_camera(panoramas: MatterportPanoramas):
    views = panoramas.views36("lab", "v", size=(48, 64), vfov=np.deg2rad(50))
    assert views.shape == (36, 48, 64, 3)
    x, y = np.meshgrid(np.arange(64) + 0.5, np.arange(48) + 0.5)
    for view in range(36):
        camera = perspective_camera((48, 64), *view_direction(view), np.deg2rad(50))
        assert ((seen(views[view]) * camera(x, y)).sum(-1) > TOLERANCE).all()


def test_views_equal_the_frames_of_the_simulator(panoramas: MatterportPanoramas, world: Path):
    renderer = Renderer(world, 64, 48, np.pi / 3, False, False, 1, world)
    views = panoramas.views36("lab", "v", size=(48, 64))
    for view in (0, 7, 18, 35):
        bgr, _ = renderer.render("lab", "v", *view_direction(view))
        assert np.array_equal(bgr[..., ::-1], views[view])


def test_faces_of_full_size_are_averaged_before_sampling(world: Path, tmp_path: Path):
    skyboxes = skybox_dir(tmp_path, "lab")
    skyboxes.mkdir(parents=True)
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 200
    for face in range(6):
        with (skyboxes / f"v_skybox{face}_sami.jpg").open("wb") as file:
            Image.fromarray(stripes).save(file, format="PNG")
    views = MatterportPanoramas(tmp_path, world).views36("lab", "v", size=32)
    assert np.abs(views.astype(int) - 100).max() <= 1


def test_depth_is_metres_along_the_ray_and_nan_where_unknown(panoramas: MatterportPanoramas):
    depth = panoramas.panorama("lab", "v").depth
    assert depth.dtype == np.float32
    known = ~np.isnan(depth)
    np.testing.assert_allclose(depth[known], 2.5, rtol=1e-5)
    # Face 1 faces the direction of the pose; its middle is unknown.
    column = int((HEADING + np.pi) / (2 * np.pi) * 256) % 256
    assert not known[64, column]
    assert 0.8 < known.mean() < 1


def test_unknown_viewpoint_is_refused(panoramas: MatterportPanoramas):
    with pytest.raises(KeyError, match="no viewpoint 'u'"):
        panoramas.panorama("lab", "u")

"""Calls of habitat-sim, recorded and checked by a fake module."""

import json
import struct
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from clipnav.envs.habitat.client import VARIABLE, HabitatServer
from clipnav.envs.habitat.server import Habitat
from clipnav.envs.panoramas.cameras import equirectangular_camera, perspective_camera
from clipnav.envs.panoramas.habitat_panoramas import (
    HabitatPanoramas,
    check_upright,
    write_scene_dataset,
)
from clipnav.storage.errors import UserError
from clipnav.storage.features.view_grid import view_direction

TOLERANCE = np.cos(0.03)


@pytest.fixture
def graphs(tiny_world: Path) -> Path:
    return tiny_world / "matterport" / "connectivity"


@pytest.fixture
def panoramas(habitat, graphs: Path, tmp_path: Path) -> HabitatPanoramas:
    (tmp_path / "attic.glb").touch()
    (tmp_path / "barn").mkdir()
    (tmp_path / "barn" / "barn.glb").touch()
    return HabitatPanoramas(tmp_path, graphs, width=128, drawer=Habitat(-1))


def seen(rgb: np.ndarray) -> np.ndarray:
    looks = (rgb.astype(float) - 127.5) / 127
    return looks / np.linalg.norm(looks, axis=-1, keepdims=True)


def test_every_pixel_of_a_view_has_the_direction_of_the_camera(panoramas: HabitatPanoramas):
    views = panoramas.views36("attic", "a0", size=(24, 32), vfov=np.deg2rad(50))
    assert views.shape == (36, 24, 32, 3)
    x, y = np.meshgrid(np.arange(32) + 0.5, np.arange(24) + 0.5)
    for view in range(36):
        camera = perspective_camera((24, 32), *view_direction(view), np.deg2rad(50))
        assert ((seen(views[view]) * camera(x, y)).sum(-1) > TOLERANCE).all()


def test_panorama_has_heading_0_in_its_middle_and_distances_along_rays(
    panoramas: HabitatPanoramas, habitat
):
    panorama = panoramas.panorama("attic", "a0")
    x, y = np.meshgrid(np.arange(128) + 0.5, np.arange(64) + 0.5)
    looks = equirectangular_camera(128)(x, y)
    assert ((seen(panorama.rgb) * looks).sum(-1) > TOLERANCE).all()
    elevation = np.arcsin(looks[..., 2])
    np.testing.assert_allclose(panorama.depth[elevation < 1.1], habitat.RADIUS, rtol=5e-3)
    assert np.isinf(panorama.depth[elevation > 1.3]).all()


def test_habitat_gets_position_camera_and_device(
    panoramas: HabitatPanoramas, habitat, graphs: Path, tmp_path: Path
):
    panoramas.views36("attic", "a4", size=(480, 640))
    records = json.loads((graphs / "attic_connectivity.json").read_text())
    x, y, z = np.reshape(records[4]["pose"], (4, 4))[:3, 3]
    expected = tuple(np.round(np.array([x, z, -y], np.float32), 6).tolist())
    assert habitat.calls[0] == ("Simulator",)
    scene = str(tmp_path / "attic.glb")
    # 75.18 degrees across are 60 degrees up and down in a picture of this shape.
    assert habitat.calls[1] == ("configure", scene, -1, [("rgb", "COLOR", [480, 640], 75.18)])
    assert habitat.calls[2:] == [("set_state", expected)] * 36


def test_another_scene_reconfigures_the_simulator_and_another_size_replaces_it(
    panoramas: HabitatPanoramas, habitat
):
    for scan, viewpoint, size in [
        ("attic", "a0", 16),
        ("attic", "a1", 16),
        ("barn", "b0", 16),
        ("barn", "b0", 8),
    ]:
        panoramas.views36(scan, viewpoint, size)
    panoramas._drawer.close()
    names = [call[0] for call in habitat.calls if call[0] != "set_state"]
    made = ["Simulator", "configure"]
    assert names == [*made, "configure", "close", *made, "close"]
    assert habitat.calls[-1] == ("close",)


def test_scene_configurations_set_the_orientation(habitat, graphs: Path, tmp_path: Path):
    (tmp_path / "attic.glb").touch()
    dataset = write_scene_dataset(tmp_path, ["attic"])
    stage = tmp_path / "attic.stage_config.json"
    assert json.loads(stage.read_text()) == {
        "render_asset": "attic.glb",
        "up": [0, 1, 0],
        "front": [0, 0, -1],
    }
    stages = json.loads(dataset.read_text())["stages"]
    assert stages["default_attributes"] == {"up": [0, 1, 0], "front": [0, 0, -1]}
    assert [p for pattern in stages["paths"][".json"] for p in tmp_path.glob(pattern)] == [stage]
    HabitatPanoramas(tmp_path, graphs, drawer=Habitat(-1)).views36("attic", "a0", 8)
    assert habitat.calls[1][1] == str(stage)


def glb(lower: list[float], upper: list[float]) -> bytes:
    """Return the description of a model of this extent."""
    accessors = [{"min": [-9.0] * 3, "max": [9.0] * 3}, {"min": lower, "max": upper}]
    meshes = [{"primitives": [{"attributes": {"NORMAL": 0, "POSITION": 1}}]}]
    content = json.dumps({"accessors": accessors, "meshes": meshes}).encode()
    return struct.pack("<4s4I", b"glTF", 2, 20 + len(content), len(content), 0) + content


Y_UP = glb([0, 0, -5], [6, 3, 0])


@pytest.mark.parametrize(
    ("content", "is_refused"),
    [
        (Y_UP, True),
        (glb([0, 0, 0], [6, 5, 3]), False),  # z up, as Matterport3D's
        (Y_UP[:99], False),  # habitat-sim itself reports what is wrong with it
        (b"", False),
    ],
)
def test_a_model_with_y_up_needs_a_configuration(tmp_path: Path, content: bytes, is_refused: bool):
    model, stage = tmp_path / "attic.glb", tmp_path / "attic.stage_config.json"
    model.write_bytes(content)
    positions = [np.array(position) for position in ((1, 0.5, 1.5), (3, 2, 1.5), (4, 4.5, 1.5))]
    refused = pytest.raises(UserError, match=r"attic\.glb: 3 of 3 viewpoints .* if .* axis is y, 0")
    with refused if is_refused else nullcontext():
        check_upright(model, positions)
    check_upright(stage, positions)


def test_pictures_of_a_model_with_y_up_are_refused(panoramas: HabitatPanoramas, tmp_path: Path):
    (tmp_path / "attic.glb").write_bytes(glb([-20, 0, -20], [20, 3, 20]))
    for _ in range(2):
        with pytest.raises(UserError, match=r"attic\.glb.*write beside it a attic\.stage_config"):
            panoramas.views36("attic", "a4", 8)
    write_scene_dataset(tmp_path, ["attic"])
    assert panoramas.views36("attic", "a4", 8).shape == (36, 8, 8, 3)


def test_errors_name_the_missing_viewpoint_or_model(panoramas: HabitatPanoramas, tmp_path: Path):
    with pytest.raises(KeyError, match="no viewpoint 'a77'"):
        panoramas.views36("attic", "a77")
    (tmp_path / "attic.glb").unlink()
    with pytest.raises(FileNotFoundError, match=r"no 3D model of scan 'attic'.*attic\.glb"):
        panoramas.views36("attic", "a0")


def test_without_habitat_the_error_contains_the_install_command(
    monkeypatch: pytest.MonkeyPatch, graphs: Path, tmp_path: Path
):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "attic.glb").touch()
    panoramas = HabitatPanoramas(tmp_path, graphs, drawer=HabitatServer())
    with pytest.raises(ModuleNotFoundError, match="conda install -n habitat habitat-sim"):
        panoramas.views36("attic", "a0")

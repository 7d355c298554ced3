"""Reading skyboxes: file names, depth, and missing or damaged files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipnav.envs.panoramas.skyboxes import (
    DamagedSkyboxError,
    read_depth,
    read_skybox,
    skybox_dir,
    skybox_files,
)

SIZE = 8
STRIP = np.random.default_rng(0).integers(0, 256, (SIZE, 6 * SIZE, 3)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = skybox_dir(tmp_path, "scan")
    folder.mkdir(parents=True)
    return folder


def save(path: Path, pixels: np.ndarray) -> None:
    """Write an image without loss, whatever its suffix."""
    with path.open("wb") as file:
        Image.fromarray(pixels).save(file, format="PNG")


def save_faces(folder: Path, kind: str, strip: np.ndarray = STRIP) -> None:
    for face, pixels in enumerate(np.split(strip, 6, axis=1)):
        save(folder / f"v_skybox{face}_{kind}.jpg", pixels)


def test_a_merged_skybox_is_read_unchanged(tmp_path: Path, folder: Path):
    save(folder / "v_skybox_small.jpg", STRIP)
    assert np.array_equal(read_skybox(tmp_path, "scan", "v"), STRIP)


@pytest.mark.parametrize("kind", ["sami", "small"])
def test_single_faces_are_joined(tmp_path: Path, folder: Path, kind: str):
    save_faces(folder, kind)
    assert np.array_equal(read_skybox(tmp_path, "scan", "v"), STRIP)


def test_errors_name_the_missing_file(tmp_path: Path, folder: Path):
    with pytest.raises(FileNotFoundError, match=r"v_skybox_small\.jpg: no skybox.*sami\.jpg"):
        skybox_files(tmp_path, "scan", "v")
    save_faces(folder, "sami")
    (folder / "v_skybox4_sami.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"v_skybox4_sami\.jpg.* missing"):
        skybox_files(tmp_path, "scan", "v")
    with pytest.raises(FileNotFoundError, match=r"v_skybox_depth_small\.png"):
        read_depth(tmp_path, "scan", "v")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "cannot identify"),
        (b"no picture at all", "cannot identify"),
        (None, "truncated"),
    ],
)
def test_errors_name_the_damaged_file(tmp_path: Path, folder: Path, content, problem: str):
    path = folder / "v_skybox_small.jpg"
    Image.fromarray(STRIP).save(path)
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(DamagedSkyboxError, match=problem) as caught:
        read_skybox(tmp_path, "scan", "v")
    assert caught.value.path == path
    assert str(path) in str(caught.value)


def test_errors_name_the_damaged_face(tmp_path: Path, folder: Path):
    save_faces(folder, "sami")
    save(folder / "v_skybox2_sami.jpg", STRIP[:4, :4])
    with pytest.raises(DamagedSkyboxError, match=r"v_skybox2_sami\.jpg.*\(4, 4\)"):
        read_skybox(tmp_path, "scan", "v")


def test_faces_must_be_square(tmp_path: Path, folder: Path):
    save(folder / "v_skybox_small.jpg", STRIP[:, :-1])
    with pytest.raises(DamagedSkyboxError, match="six square faces"):
        read_skybox(tmp_path, "scan", "v")


def test_depth_keeps_its_16_bits(tmp_path: Path, folder: Path):
    depth = np.arange(6 * SIZE * SIZE).reshape(SIZE, 6 * SIZE).astype(np.uint16) * 170
    save(folder / "v_skybox_depth_small.png", depth)
    assert np.array_equal(read_depth(tmp_path, "scan", "v"), depth)
    save(folder / "v_skybox_depth_small.png", depth.astype(np.uint8))
    with pytest.raises(DamagedSkyboxError, match="16-bit"):
        read_depth(tmp_path, "scan", "v")

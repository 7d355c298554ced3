"""Views of the houses, and missing folders; the other worlds are tested with the command."""

from pathlib import Path

import numpy as np
import pytest

from clipnav.encoders.extraction import command
from clipnav.encoders.extraction.arguments import ExtractArguments
from clipnav.encoders.extraction.view_sources import ViewSource
from clipnav.envs.panoramas.panorama import Panorama
from clipnav.envs.panoramas.views import cut_views, views36


class Houses:
    """Substitute for `HousePanoramas` that returns noise."""

    def __init__(self, connectivity_dir: Path | None, width: int):
        self.width = width

    def panorama(self, scan: str, viewpoint: str, rows: slice = slice(None)) -> Panorama:
        size = (self.width // 2, self.width)
        rng = np.random.default_rng(list(f"{scan} {viewpoint}".encode()))
        rgb = np.zeros((*size, 3), np.uint8)
        rgb[rows] = rng.integers(0, 256, (*size, 3))[rows]
        return Panorama(rgb, np.ones(size, np.float32), np.zeros(size, np.int32))


def test_views_of_houses_are_cut_from_their_panoramas(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("clipnav.envs.houses.rendering.house_panoramas.HousePanoramas", Houses)
    source = ViewSource("houses", "square", (16, 16), width=64)
    rgb = Houses(None, 64).panorama("house_00", "v1").rgb
    expected = cut_views(lambda size, vfov: views36(rgb, size, vfov), "square", (16, 16))
    assert np.array_equal(source.load(("house_00", "v1")), expected)


def test_missing_folders_of_a_world_are_named(tmp_path: Path):
    with pytest.raises(ValueError, match="'matterport' requires the folder of its scans"):
        ViewSource("matterport", "square", (16, 16)).views("scan", "v")
    with pytest.raises(ValueError, match="folder of its navigation graphs"):
        ViewSource("matterport", "square", (16, 16), scan_dir=tmp_path).views("scan", "v")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"world": "matterport", "engine": "ray"},
            r"a0_skybox_small\.jpg.*16 of 16 viewpoints without skybox",
        ),
        ({"world": "habitat"}, "no 3D model of scan 'barn'.*6 of 16 viewpoints without 3D model"),
    ],
)
def test_missing_files_are_reported_before_anything_is_encoded(
    tiny_world: Path, tiny_resnet: Path, tmp_path: Path, monkeypatch, changes, problem
):
    def refuse(*_):
        raise AssertionError("started")

    monkeypatch.setattr(command, "ray_rows", refuse)
    monkeypatch.setattr(ViewSource, "pool", refuse)
    (tmp_path / "attic.glb").touch()
    arguments = ExtractArguments(
        tmp_path / "store.safetensors",
        data_dir=tiny_world,
        scan_dir=tmp_path,
        encoder=(str(tiny_resnet),),
        scans=("attic", "barn"),
        **changes,
    )
    with pytest.raises(FileNotFoundError, match=problem):
        command.main(arguments)

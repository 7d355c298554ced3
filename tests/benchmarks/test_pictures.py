import shutil

import numpy as np
from PIL import Image


def test_the_cpu_time_of_an_observation_is_reported(
    figures_of, tiny_world, tmp_path, marked_skybox, monkeypatch
):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path / "cache"))
    world = shutil.copytree(tiny_world, tmp_path / "world")
    faces = Image.fromarray(marked_skybox(np.eye(3), 16))
    for scan, viewpoints in (("attic", range(9)), ("barn", range(6))):
        folder = world / "matterport" / "v1" / "scans" / scan / "matterport_skybox_images"
        folder.mkdir(parents=True)
        for number in viewpoints:
            faces.save(folder / f"{scan[0]}{number}_skybox_small.jpg")
    figures = figures_of("pictures", "--data-dir", str(world), "--split", "train")
    for place in ("on disk", "in memory"):
        figure = figures[f"candidate_rgb, 224 x 224, panoramas {place}"]
        assert figure["unit"] == "CPU ms per decision"
        assert figure["bar"] == 100.0
        assert figure["value"] > 0
    assert figures["decoded panoramas in memory"]["value"] == 256

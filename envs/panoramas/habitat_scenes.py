"""The built-in houses as a scene dataset of habitat-sim."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from clipnav.storage import write_text

# Without this habitat assumes that z is up in a GLB, and rotates the scene.
_UPRIGHT = {"up": [0, 1, 0], "front": [0, 0, -1]}


def write_scene_dataset(folder: Path, scans: Iterable[str]) -> Path:
    """Write the configuration that gives habitat-sim the orientation of the GLBs of a folder.

    The function writes a `<scan>.stage_config.json` for each `<scan>.glb`, which can be used as
    `scene_id`, and one `houses.scene_dataset_config.json` for
    `SimulatorConfiguration.scene_dataset_config_file`.
    """
    for scan in scans:
        stage = {"render_asset": f"{scan}.glb", **_UPRIGHT}
        write_text(folder / f"{scan}.stage_config.json", json.dumps(stage, indent=2) + "\n")
    dataset = {
        "stages": {
            "default_attributes": _UPRIGHT,
            "paths": {".json": ["*.stage_config.json"]},
        }
    }
    path = folder / "houses.scene_dataset_config.json"
    write_text(path, json.dumps(dataset, indent=2) + "\n")
    return path

"""The built-in houses as a scene dataset of habitat-sim."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from storage import write_text

# Without this habitat takes a GLB to have z up and lays it on its side.
_UPRIGHT = {"up": [0, 1, 0], "front": [0, 0, -1]}


def write_scene_dataset(folder: Path, scans: Iterable[str]) -> Path:
    """Tells habitat-sim which way up the GLBs of a folder are.

    Beside each `<scan>.glb` a `<scan>.stage_config.json` is written, which serves as `scene_id`,
    and for all of them `houses.scene_dataset_config.json`, to load with
    `SimulatorConfiguration.scene_dataset_config_file`.

    Args:
        folder: where the GLBs lie, or will lie.
        scans: their names.

    Returns:
        Path of the scene dataset's configuration.
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

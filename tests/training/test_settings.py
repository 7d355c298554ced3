"""Files of settings."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePath, PureWindowsPath

from clipnav.training.settings import read_settings, to_json


@dataclass(frozen=True)
class Settings:
    folder: PurePath


@dataclass(frozen=True)
class ReadSettings:
    folder: Path


def test_paths_of_windows_are_read_on_other_systems(tmp_path):
    text = to_json(Settings(PureWindowsPath("runs\\first", "features.safetensors")))
    assert json.loads(text)["folder"] == "runs/first/features.safetensors"
    (tmp_path / "config.json").write_text(text)
    settings = read_settings(tmp_path / "config.json", ReadSettings)
    assert settings.folder == Path("runs", "first", "features.safetensors")

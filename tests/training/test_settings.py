"""Files of settings, devices and random streams."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePath, PureWindowsPath

import pytest

from clipnav.training.distributed import check_device
from clipnav.training.settings import read_settings, to_json
from clipnav.training.streams import Stream, iteration_seed, rank_iteration_seed


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


@pytest.mark.parametrize(
    ("device", "problem"),
    [
        ("mps", "only cpu and cuda devices are supported; choose another --device, such as cpu"),
        ("meta", "only cpu and cuda devices are supported"),
        ("gpu", "torch does not know this device; choose another --device, such as cpu"),
        ("cuda:99", "torch detects .* CUDA devices"),
        ("cuda:256", "torch detects .* CUDA devices"),
        ("cuda:999", "torch detects .* CUDA devices"),
    ],
)
def test_other_devices_are_refused_in_one_sentence(device, problem):
    with pytest.raises(ValueError, match=f"^--device {device}: {problem}"):
        check_device(device)


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", ["agents", "encoders", "training", "vl_tasks"])
def test_purposes_have_streams_of_the_table(package):
    files = [
        path
        for path in (ROOT / package).rglob("*.py")
        if path.name != "streams.py" and path.parent.name != "house_tasks"
    ]
    assert files
    assert not [str(path) for path in files if "default_rng([" in path.read_text("utf-8")]


def test_streams_are_independent():
    firsts = {int(stream.rng(0).integers(2**63)) for stream in Stream}
    assert len(firsts) == len(Stream)
    assert len({iteration_seed(0, stream, 3) for stream in Stream}) == len(Stream)
    ranks = {rank_iteration_seed(0, Stream.AGENT_NOISE, 3, rank) for rank in range(4)}
    assert len(ranks) == 4

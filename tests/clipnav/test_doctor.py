import tomllib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from clipnav.commands.installation import doctor
from clipnav.storage.errors import UserError
from clipnav.storage.features.store_file import write_store_file
from clipnav.training.checkpoints import load_model, save_model, save_trainer
from tests.conftest import ROOT


def test_the_purpose_of_every_extra_is_known():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(doctor.EXTRAS) == set(project["optional-dependencies"]) - {"dev"}


def test_the_report_names_versions_machine_data_and_caches(command, monkeypatch, tmp_path):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    (tmp_path / "grids").mkdir()
    (tmp_path / "grids" / "one").write_bytes(bytes(2_500_000))
    (tmp_path / "data" / "rxr").mkdir(parents=True)
    done = command("doctor", "--data-dir", tmp_path / "data")
    assert done.returncode == 0, done.stdout
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    found = {words[0]: words[1] for words in lines if len(words) == 2}
    assert {"Python", "torch", "processor", "threads", "memory", "formats", "java"} <= set(found)
    assert found["grids"] == "2.5 MB"
    assert "32 houses" in found["houses"]
    assert found["matterport"] == f"rxr in {tmp_path / 'data'} (clipnav download-data)"
    assert lines[-1] == ["No", "problems."]


@pytest.fixture
def written(tmp_path):
    """Files with a checksum: weights of a run, a training state, and stores of features."""
    state = {"weight": torch.arange(12.0)}
    save_model(tmp_path, SimpleNamespace(architecture={"size": "12"}, state_dict=lambda: state), {})
    save_trainer(tmp_path, state)
    views = [np.full((36, 4), k, np.float16) for k in range(3)]
    write_store_file(tmp_path / "a.safetensors", tmp_path, iter(views), ["a_0", "a_1", "a_2"], {})
    return tmp_path


def test_checksums_of_files_are_compared(written, command):
    done = command("doctor", written)
    assert done.returncode == 0
    assert done.stdout.count("as written") == 3
    save_file({"x": np.zeros(3)}, written / "foreign.safetensors")
    assert "foreign.safetensors  readable; it has no checksum" in command("doctor", written).stdout
    assert command("doctor", written / "gone.pt").returncode == 1


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("model.safetensors", np.arange(12, dtype=np.float32)),
        ("trainer.pt", np.arange(12, dtype=np.float32)),
        ("a.safetensors", np.full((36, 4), 2, np.float16)),
    ],
)
def test_each_flipped_bit_of_the_numbers_is_found(name, numbers, written, command):
    path = written / name
    whole = path.read_bytes()
    start = whole.index(numbers.tobytes())
    for place in np.random.default_rng(0).integers(0, numbers.nbytes, 12).tolist():
        flipped = bytearray(whole)
        flipped[start + place] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert command("doctor", path).returncode == 1, place


def test_weights_with_a_flipped_bit_are_not_loaded(written):
    path = written / "model.safetensors"
    whole = bytearray(path.read_bytes())
    whole[-2] ^= 1
    path.write_bytes(whole)
    network = SimpleNamespace(architecture={"size": "12"}, load_state_dict=None)
    with pytest.raises(UserError, match=r"model\.safetensors: damaged.*; train the run again, or"):
        load_model(written, network, {})


def test_a_missing_or_old_package_is_a_problem_but_not_one_of_an_extra(command, monkeypatch):
    needed = ["absent-a>=1", "numpy>=999", "absent-b>=2; extra == 'video'"]
    monkeypatch.setattr(doctor, "requires", lambda name: needed)
    done = command("doctor")
    assert done.returncode == 1
    assert "PROBLEM missing: pip install 'absent-a>=1'" in done.stdout
    assert "but >=999 is required" in done.stdout
    assert "videos as mp4: without absent-b: pip install 'clipnav[video]'" in done.stdout
    assert done.stdout.endswith("Problems: 2\n")

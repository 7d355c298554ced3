"""`import clipnav`: the ids, the public names, and packages that shadow ours."""

import subprocess
import sys
from pathlib import Path

import pytest

import clipnav
from clipnav.shadowing import PACKAGES, ShadowedPackageError, check_packages
from tests.conftest import ROOT


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", program]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def test_import_registers_the_ids_and_loads_no_torch(tmp_path):
    program = (
        "import sys, clipnav, gymnasium\n"
        "print('torch' in sys.modules, *sorted(i for i in gymnasium.registry if 'CLIP' in i))"
    )
    done = run(program, tmp_path)
    ids = "R2R-CE-CLIP-v0 R2R-CLIP-v0 R4R-CLIP-v0 RxR-CE-CLIP-v0 RxR-CLIP-v0"
    assert done.stdout == f"False {ids}\n", done.stderr


def test_models_on_features_load_no_transformers(tmp_path):
    """Its import takes as long as all the others of a VQA command together."""
    program = "import sys, clipnav.vl_tasks.vqa.learning; print('transformers' in sys.modules)"
    done = run(program, tmp_path)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("name", clipnav.__all__)
def test_public_names_exist_and_are_documented(name):
    assert name in dir(clipnav)
    assert getattr(clipnav, name).__doc__


def test_all_lists_the_public_names():
    assert sorted(clipnav._MODULES) == sorted(clipnav.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Policy'"):
        _ = clipnav.Policy


def test_all_packages_of_the_distribution_are_checked():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"clipnav", "tests", "benchmarks"} == set(PACKAGES)
    check_packages()


@pytest.mark.parametrize("name", ["envs", "agents"])
def test_a_folder_that_hides_a_package_is_named(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    done = run("import clipnav", tmp_path)
    assert done.returncode == 1
    message = done.stderr.splitlines()[-1]
    assert f"ShadowedPackageError: {tmp_path / name} hides clipnav's package '{name}'" in message
    done = run(f"import {name}, clipnav", tmp_path)
    assert f"{tmp_path / name} was imported before clipnav's package" in done.stderr


def test_a_module_that_hides_a_package_is_named(tmp_path, monkeypatch):
    (tmp_path / "viewer.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "viewer", raising=False)
    with pytest.raises(ShadowedPackageError, match=r"viewer\.py hides clipnav's package 'viewer'"):
        check_packages()


def test_the_command_line_names_the_package_in_one_line(tmp_path):
    (tmp_path / "storage.py").touch()
    words = [sys.executable, "-m", "clipnav", "--help"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{tmp_path / 'storage.py'} hides" in done.stderr


def test_splits_are_described_in_a_line():
    graph = clipnav.load_split("r2r", "val_unseen")
    assert repr(graph) == "LoadedSplit('r2r', 'val_unseen', world='houses', episodes=960)"
    continuous = clipnav.load_continuous_split("r2r", "val_unseen")
    assert repr(continuous) == "ContinuousSplit('r2r', episodes=960)"

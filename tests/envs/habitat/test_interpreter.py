import json
import sys
from pathlib import Path

import pytest

from clipnav.envs.habitat.interpreter import VARIABLE, habitat_python


@pytest.fixture
def environment(tmp_path):
    """Folder of a virtual environment."""
    path = tmp_path / "envs" / "habitat"
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "python").touch(0o755)
    return path


def test_an_interpreter_or_the_folder_of_an_environment_can_be_named(environment, monkeypatch):
    python = environment / "bin" / "python"
    assert habitat_python(python) == habitat_python(str(environment)) == python
    monkeypatch.setenv(VARIABLE, str(environment))
    assert habitat_python() == python
    assert habitat_python(sys.executable) == Path(sys.executable)


def test_a_conda_environment_can_be_named(environment, tmp_path, monkeypatch):
    conda = tmp_path / "conda"
    answer = json.dumps({"envs": [str(tmp_path / "base"), str(environment)]})
    conda.write_text(f"#!/bin/sh\necho '{answer}'\n")
    conda.chmod(0o755)
    monkeypatch.setenv("CONDA_EXE", str(conda))
    assert habitat_python("habitat") == environment / "bin" / "python"
    with pytest.raises(FileNotFoundError, match=r"robot: neither .* \(conda has base, habitat\)"):
        habitat_python("robot")


def test_without_conda_the_name_is_refused(monkeypatch):
    monkeypatch.delenv("CONDA_EXE", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"habitat: neither a Python.*; correct"):
        habitat_python("habitat")


def test_a_folder_without_python_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="bin/python: this environment has no Python"):
        habitat_python(tmp_path)


def test_this_interpreter_is_used_if_habitat_is_installed_in_it(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert habitat_python() == Path(sys.executable)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"conda create -n habitat python=3\.9"):
        habitat_python()


def test_on_windows_the_systems_of_habitat_are_named(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ModuleNotFoundError, match="no package for Windows; use Linux or macOS"):
        habitat_python("habitat")

"""`import clipnav`: the ids and the public names."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import clipnav


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", program]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def test_import_registers_the_ids_and_loads_no_torch(tmp_path):
    program = (
        "import sys, clipnav, gymnasium\n"
        "print('torch' in sys.modules, *sorted(i for i in gymnasium.registry if 'CLIP' in i))"
    )
    done = run(program, tmp_path)
    names = "CVDN GOAT ObjectNav R2R-CE R2R R4R REVERIE RxR-CE RxR SOON".split()
    ids = [f"{name}-CLIP-v0" for name in names]
    assert done.stdout.split() == ["False", *ids], done.stderr


def test_models_on_features_load_no_transformers(tmp_path):
    """Its import takes as long as all the others of a VQA command together."""
    program = "import sys, clipnav.vl_tasks.vqa.task; print('transformers' in sys.modules)"
    done = run(program, tmp_path)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("name", clipnav.__all__)
def test_public_names_exist_and_are_documented(name):
    assert name in dir(clipnav)
    assert getattr(clipnav, name).__doc__


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="Policy"):
        _ = clipnav.Policy


def test_the_stub_lists_the_public_names():
    stub = ast.parse(Path(clipnav.__file__).with_suffix(".pyi").read_text("utf-8"))
    (listed,) = (
        node.value
        for node in stub.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    )
    assert ast.literal_eval(listed) == sorted(clipnav.__all__)


def test_splits_are_described_in_a_line():
    graph = clipnav.load_split("r2r", "val_unseen")
    assert repr(graph) == "LoadedSplit('r2r', 'val_unseen', world='houses', episodes=720)"
    continuous = clipnav.load_continuous_split("r2r", "val_unseen")
    assert repr(continuous) == "ContinuousSplit('r2r', episodes=720)"

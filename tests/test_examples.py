"""The scripts of scripts/examples run."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

EXAMPLES = ROOT / "scripts" / "examples"
# Arguments, and a text that the script prints.
SCRIPTS = {
    "first_steps": ((), "0.0 m to the goal"),
    "own_agent": (("2",), "96 unseen episodes: SR"),
    "own_encoder": ((), "looks most like"),
    "own_prompt": ((), "Results: runs/vlm-rule-val_unseen"),
    "train_ppo": (("64",), "after 64 steps"),
}


def test_all_scripts_are_tested_and_named_on_a_page():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == set(SCRIPTS)
    page = (ROOT / "docs" / "tutorials" / "first_steps.md").read_text("utf-8")
    assert [name for name in names if f"scripts/examples/{name}.py" not in page] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_runs(name, tmp_path):
    arguments, printed = SCRIPTS[name]
    if name == "train_ppo":
        pytest.importorskip("sb3_contrib")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *arguments],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout

"""The scripts of scripts/examples run."""

import re

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
def test_an_example_runs(name, launcher, tmp_path, monkeypatch):
    arguments, printed = SCRIPTS[name]
    if name == "train_ppo":
        pytest.importorskip("sb3_contrib")
    script, log = EXAMPLES / f"{name}.py", tmp_path / "log.txt"
    # The process of the launcher has imported clipnav already, which registers the environments.
    assert re.search("^(import|from) clipnav", script.read_text("utf-8"), re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    process = launcher.start(script, [*arguments], {}, log)
    assert launcher.wait(process) == 0, log.read_text()
    assert printed in log.read_text()

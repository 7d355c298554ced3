"""Finished steps run again when their output or their inputs were replaced."""

import json
import shutil

import pytest

from clipnav.experiments import running
from clipnav.storage.errors import UserError
from tests.clipnav.experiments.conftest import declared


def test_a_step_whose_file_another_command_has_overwritten_runs_again(reproduce, checkout):
    script = "import pathlib, sys\npathlib.Path(sys.argv[2]).write_text(sys.argv[3])"
    (checkout / "benchmarks/write.py").write_text(script)
    declarations = checkout / "docs/results/experiments.toml"

    def share(value: float) -> float:
        declarations.write_text(f"""
[speed]
page = "page.md"
budget = "1 second"
steps = ['''benchmarks/write.py --json {{folder}}/a.json "{{{{\\"share\\": {value}}}}}" ''']
columns = ["", "share"]
rows = [["a", "a.json#share"]]
""")
        reproduce("speed")
        ((_, cell),) = json.loads((checkout / "docs/results/speed.json").read_text())["rows"]
        return cell

    assert [share(0.25), share(0.5), share(0.25)] == [0.25, 0.5, 0.25]


CHAIN = """
[first]
page = "page.md"
budget = "1 second"
steps = [
  "train-agent --iterations NUMBER --output {folder}/run",
  "train-agent --start-from {folder}/run --output {folder}/more",
  "evaluate-agent {folder}/more --json {folder}/scores.json",
  "train-agent --output {folder}/other",
]
columns = ["", "SR"]
rows = [["a", "scores.json#SR"]]

[second]
page = "page.md"
budget = "1 second"
requires = ["first"]
steps = ["evaluate-agent {first}/run --json {folder}/scores.json"]
columns = ["", "SR"]
rows = [["a", "scores.json#SR"]]
"""


def run_here(monkeypatch, step):
    """Run a stand-in for each step, in this process."""
    monkeypatch.setattr(running, "_run_job", step)
    monkeypatch.setattr(
        running, "run_jobs", lambda function, jobs, *_: ((j, function(j)) for j in jobs)
    )


@pytest.fixture
def ran(checkout, monkeypatch) -> list[str]:
    """Steps that have run: stand-ins that write weights or scores."""
    ran: list[str] = []

    def fake(job):
        words = job.step.words
        ran.append(" ".join(words[:3]).replace("runs/results/", ""))
        output = checkout / words[-1]
        if words[-2] == "--output":
            output.mkdir(parents=True)
            (output / "trainer.pt").touch()
            (output / "model.safetensors").write_text(str(len(ran)))
        else:
            output.write_text(json.dumps({"SR": len(ran) / 100}))
        return 1.0

    run_here(monkeypatch, fake)
    (checkout / "docs/page.md").write_text("# Page\n")
    return ran


def test_steps_run_again_after_what_they_have_read(reproduce, checkout, ran):
    def declare(number: int) -> None:
        text = CHAIN.replace("NUMBER", str(number))
        (checkout / "docs/results/experiments.toml").write_text(text)
        ran.clear()

    declare(1)
    reproduce("second")
    assert len(ran) == 5
    reproduce("second")
    assert len(ran) == 5
    declare(2)
    outputs = checkout / "runs/results"
    shutil.rmtree(outputs / "first/run")
    with pytest.raises(UserError, match=r"first/more: made from .*first/run, which has been made"):
        reproduce("second")
    assert ran == ["train-agent --iterations 2"]
    shutil.rmtree(outputs / "first/more")
    reproduce("second")
    assert ran[1:] == [
        "train-agent --start-from first/run",
        "evaluate-agent first/more --json",
        "evaluate-agent first/run --json",
    ]
    assert json.loads((checkout / "docs/results/second.json").read_text())["rows"] == [["a", 4.0]]
    reproduce("second")
    assert len(ran) == 4


def test_a_run_that_was_trained_again_by_hand_is_refused_and_after_its_removal_made_again(
    reproduce, checkout, ran
):
    (checkout / "docs/results/experiments.toml").write_text(CHAIN.replace("NUMBER", "1"))
    reproduce("second")
    outputs = checkout / "runs/results"
    (outputs / "first/run/model.safetensors").write_text("trained again")
    ran.clear()
    for _ in range(2):
        with pytest.raises(UserError, match=r"run/model.safetensors: has changed since train-a"):
            reproduce("second")
    assert not ran
    shutil.rmtree(outputs / "first/run")
    with pytest.raises(UserError, match=r"first/more: made from .*first/run, which has been made"):
        reproduce("second")
    shutil.rmtree(outputs / "first/more")
    reproduce("second")
    assert len(ran) == 4  # all but the other training


def test_a_step_without_its_scores_runs_again(reproduce, checkout, ran):
    (checkout / "docs/results/experiments.toml").write_text(CHAIN.replace("NUMBER", "1"))
    reproduce("second")
    (checkout / "runs/results/second/scores.json").unlink()
    ran.clear()
    reproduce("second")
    assert ran == ["evaluate-agent first/run --json"]


@pytest.mark.parametrize("removed", ["scores", "comparison"])
def test_scores_in_a_folder_are_checked(reproduce, checkout, monkeypatch, removed):
    step, scored = "compare-agents --output {folder}/comparison", "comparison/comparison.json#SR"
    (checkout / "docs/results/experiments.toml").write_text(declared("one", step, "SR", scored))
    (checkout / "docs/page.md").write_text("# Page\n")
    scores = checkout / "runs/results/one/comparison/comparison.json"
    started = []

    def compare(job):
        started.append(job)
        scores.parent.mkdir(exist_ok=True)
        scores.write_text('{"SR": 0.5}')
        return 1.0

    run_here(monkeypatch, compare)
    reproduce("one")
    scores.write_text('{"SR": 0.9}')
    with pytest.raises(UserError, match=r"comparison\.json: has changed since compare-agents"):
        reproduce("one")
    assert len(started) == 1
    if removed == "scores":
        scores.unlink()
    else:
        shutil.rmtree(scores.parent)
    reproduce("one")
    assert len(started) == 2


def test_a_run_that_was_trained_by_hand_is_not_resumed(reproduce, checkout, ran):
    (checkout / "docs/results/experiments.toml").write_text(CHAIN.replace("NUMBER", "1"))
    run = checkout / "runs/results/first/run"
    run.mkdir(parents=True)
    (run / "trainer.pt").touch()
    with pytest.raises(UserError, match=r"run: trained outside of this experiment, but .*remove"):
        reproduce("second")
    assert not ran
    shutil.rmtree(run)
    reproduce("second")
    assert len(ran) == 5

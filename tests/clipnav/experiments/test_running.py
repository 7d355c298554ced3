"""The command runs experiments, and runs what has failed, was stopped or was replaced again."""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clipnav.envs.houses.building.house import GENERATOR_VERSION
from clipnav.experiments import running
from clipnav.storage.errors import UserError
from clipnav.storage.locks import OutputInUseError
from tests.clipnav.experiments.conftest import declared
from tests.conftest import ROOT

BLOCKING = """
import threading
print("started", flush=True)
threading.Event().wait()  # until the process is stopped
"""


def record_of(checkout, name):
    return json.loads((checkout / f"docs/results/{name}.json").read_text())


def test_an_experiment_runs_once_and_renders_its_page(reproduce, checkout):
    (line,) = [line for line in reproduce("--list").splitlines() if line.startswith("speed")]
    assert re.split(r" {2,}", line) == ["speed", "page.md", "0", "1 second", "no record"]
    printed = reproduce("speed")
    command = "python benchmarks/second.py --json runs/results/speed/second.json"
    assert f"speed, step 2 of 2: {command}" in printed
    record = record_of(checkout, "speed")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=checkout, capture_output=True, text=True
    ).stdout.strip()
    assert record["commit"] == commit
    assert record["world_version"] == GENERATOR_VERSION
    assert record["rows"] == [["fast", 1234.5, pytest.approx(12.3)], ["slow", 2.5, None]]
    assert record["commands"][1] == command
    page = checkout / "docs/page.md"
    rendered = page.read_text()
    assert "| fast | 1,234 | 12.3 |\n| slow | 2.5 | |\n" in rendered
    assert "Measured by `clipnav reproduce speed` (1 second)." in rendered
    again = reproduce("speed")
    assert "step" not in again
    assert "add the lines" not in printed + again
    assert record_of(checkout, "speed") == record
    assert (checkout / "runs/results/speed/starts.txt").read_text() == "first\n"
    assert re.search(r"measured at \w+, [\d-]+; 2 of 2 steps finished in", reproduce("--list"))

    page.write_text(rendered.replace("1,234", "9,999"))
    assert reproduce("--render") == "docs/page.md: rendered\n"
    assert page.read_text() == rendered
    page.write_text("# Page\n")
    assert "docs/page.md: add the lines <!-- table: speed -->" in reproduce("speed")


def test_refusals(reproduce, checkout, capsys, locked_elsewhere):
    with pytest.raises(ValueError, match=r"fast, quick: no such experiment; .* --list"):
        reproduce("fast", "speed", "quick")
    with pytest.raises(SystemExit):
        reproduce("speed", "--list")
    assert "give either names, --list or" in capsys.readouterr().err
    folder = checkout / "runs/results/speed"
    folder.mkdir(parents=True)
    with locked_elsewhere(folder), pytest.raises(OutputInUseError, match="speed: process"):
        reproduce("speed")


def test_an_experiment_resumes_after_a_failed_step_and_names_both_commits(reproduce, checkout):
    script = checkout / "benchmarks/second.py"
    whole = script.read_text()
    script.write_text("raise SystemExit('no second')")
    with pytest.raises(
        ChildProcessError, match=r"second\.py failed: no second\s+Step: .*second\.py"
    ):
        reproduce("speed")
    assert not (checkout / "docs/results/speed.json").exists()
    assert "1 of 2 steps finished" in reproduce("--list")
    script.write_text(whole)
    assert "step 1" not in reproduce("speed")
    assert (checkout / "runs/results/speed/starts.txt").read_text() == "first\n"
    first, second = record_of(checkout, "speed")["commit"].split(" and ")
    assert first == f"{second}+"


@pytest.mark.parametrize(
    "request_to_stop", [pytest.param(signal.SIGKILL, marks=pytest.mark.long), signal.SIGTERM]
)
def test_a_stopped_experiment_resumes_and_renders_to_the_same_bytes(
    request_to_stop, reproduce, checkout, monkeypatch
):
    monkeypatch.setattr(os, "getloadavg", lambda: (1.0, 1.0, 1.0))
    reproduce("speed")
    pages = {path: path.read_bytes() for path in (checkout / "docs").rglob("*.*")}
    subprocess.run(["rm", "-r", "runs", "docs/results/speed.json"], cwd=checkout, check=True)
    script = checkout / "benchmarks/second.py"
    whole = script.read_text()
    script.write_text(BLOCKING)
    # Without the change of the script, so that the commit is the same.
    subprocess.run(
        ["git", "update-index", "--assume-unchanged", "benchmarks/second.py"],
        cwd=checkout,
        check=True,
    )
    command = [sys.executable, "-m", "clipnav", "reproduce", "speed"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CLIPNAV_TRACEBACK": ""}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=checkout, env=environment, stdout=pipe, stderr=pipe
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() != b"started\n":
            assert process.poll() is None
        process.send_signal(request_to_stop)
        # Ends when the process of the step has ended, too.
        printed, errors = process.communicate()
    assert printed == b""
    if request_to_stop == signal.SIGTERM:
        assert process.returncode == 130, errors.decode()
        assert b"Finished steps are kept in runs/results/speed; run the same command" in errors
    script.write_text(whole)
    assert "step 1" not in reproduce("speed")
    assert pages == {path: path.read_bytes() for path in (checkout / "docs").rglob("*.*")}


def wait_for(path):
    end = time.monotonic() + 100
    while not path.is_dir():
        assert time.monotonic() < end, f"{path} does not appear"
        time.sleep(0.05)


def meet(job):
    """Stand-in for a step: wait until the other seed's step has started, too."""
    (output,) = job.step.outputs
    os.makedirs(output)
    wait_for(Path(output).with_name(f"run-{1 - int(output[-1])}"))
    Path(output, "results.json").write_text('{"SR": 0.5}')


def fail_first(job):
    """Stand-in for a step: that of seed 0 fails while that of seed 1 runs."""
    (output,) = job.step.outputs
    os.makedirs(output)
    if output.endswith("0"):
        raise ChildProcessError("seed 0 failed")
    wait_for(Path(output).with_name("run-0"))


TWO_SEEDS = declared(
    "speed",
    "clipnav train-agent --seed {seed} --output runs/results/speed/run-{seed}",
    reference="run-{seed}/results.json#SR",
    seeds="[0, 1]",
)


def test_seeds_run_at_once(reproduce, checkout, monkeypatch):
    (checkout / "docs/results/experiments.toml").write_text(TWO_SEEDS)
    monkeypatch.setattr(running, "_run_job", meet)
    printed = reproduce("speed", "--workers", "2")
    assert "speed, step 2 of 2: clipnav train-agent --seed 1" in printed
    assert "| own | 50.0 ± 0.0 |" in (checkout / "docs/page.md").read_text()


def test_a_step_that_ends_after_another_has_failed_is_finished(reproduce, checkout, monkeypatch):
    (checkout / "docs/results/experiments.toml").write_text(TWO_SEEDS)
    monkeypatch.setattr(running, "_run_job", fail_first)
    with pytest.raises(ChildProcessError, match="seed 0 failed"):
        reproduce("speed", "--workers", "2")
    states = json.loads((checkout / "runs/results/speed/steps.json").read_text())
    assert [state["ended"] > 0 for state in states.values()] == [False, True]


def test_a_table_without_a_value_or_page_does_not_end_other_experiments(reproduce, checkout):
    declarations = checkout / "docs/results/experiments.toml"
    own = declarations.read_text()
    for reference, message in (("second.json#SR", "there is no 'SR'"), ("gone.json#a", "gone")):
        step = "python benchmarks/second.py --json runs/results/wrong/second.json"
        declarations.write_text(declared("wrong", step, reference=reference) + own)
        with pytest.raises(UserError, match=message):
            reproduce("wrong", "speed")
        assert not (checkout / "docs/results/wrong.json").exists()
        assert "| fast | 1,234 | 12.3 |" in (checkout / "docs/page.md").read_text()
    page = checkout / "docs/page.md"
    page.write_text(page.read_text().replace("<!-- end -->", ""))
    declarations.write_text(declarations.read_text().replace("gone.json#a", "second.json#share"))
    with pytest.raises(UserError, match="a table has no end"):
        reproduce("wrong", "speed")
    assert (checkout / "docs/results/wrong.json").is_file()


FIRST, SECOND = "runs/results/first", "runs/results/second"
CHAIN = [
    declared(
        "first",
        f"clipnav train-agent --iterations NUMBER --output {FIRST}/run",
        f"clipnav train-agent --start-from {FIRST}/run --output {FIRST}/more",
        f"clipnav evaluate-agent {FIRST}/more --json {FIRST}/scores.json",
        f"clipnav train-agent --output {FIRST}/other",
        reference="scores.json#SR",
    ),
    declared(
        "second",
        f"clipnav evaluate-agent {FIRST}/run --json {SECOND}/scores.json",
        reference="scores.json#SR",
    ),
]


@pytest.fixture
def ran(checkout, monkeypatch) -> list[str]:
    """Steps that have run: stand-ins, in this process, that write weights or scores."""
    ran: list[str] = []

    def step(job):
        ran.append(" ".join(job.words[1:4]).replace("runs/results/", ""))
        (output,) = job.step.outputs
        path = checkout / output
        if output.endswith(".json"):
            path.write_text(json.dumps({"SR": len(ran) / 100}))
        else:
            path.mkdir(parents=True)
            (path / "trainer.pt").touch()
            (path / "model.safetensors").write_text(str(len(ran)))

    monkeypatch.setattr(running, "_run_job", step)
    monkeypatch.setattr(
        running, "run_jobs", lambda function, jobs, *_, **__: ((j, function(j)) for j in jobs)
    )
    (checkout / "docs/page.md").write_text("# Page\n")
    return ran


def declare(checkout, ran, iterations: int = 1) -> None:
    text = "".join(CHAIN).replace("NUMBER", str(iterations))
    (checkout / "docs/results/experiments.toml").write_text(text)
    ran.clear()


@pytest.mark.parametrize("direction", [1, -1])
def test_steps_run_again_after_what_they_have_read(
    direction, reproduce, checkout, ran, monkeypatch
):
    clock = itertools.count(2_000_000_000, 3600 * direction)  # it may be set back
    monkeypatch.setattr(running.time, "time", lambda: float(next(clock)))
    declare(checkout, ran)
    for _ in range(2):
        reproduce("second")
        assert len(ran) == 5
    declare(checkout, ran, 2)
    for _ in range(2):
        with pytest.raises(UserError, match=r"first/run: was not trained by .* 2 .*remove .*run"):
            reproduce("second")
    assert not ran
    shutil.rmtree(checkout / FIRST / "run")
    with pytest.raises(UserError, match=r"first/more: made from .*first/run, which has been made"):
        reproduce("second")
    assert ran == ["train-agent --iterations 2"]
    shutil.rmtree(checkout / FIRST / "more")
    reproduce("second")
    assert ran[1:] == [
        "train-agent --start-from first/run",
        "evaluate-agent first/more --json",
        "evaluate-agent first/run --json",
    ]
    assert record_of(checkout, "second")["rows"] == [["own", 4.0]]
    reproduce("second")
    assert len(ran) == 4
    declare(checkout, ran)
    with pytest.raises(UserError, match="was not trained by"):
        reproduce("second")


def test_an_output_that_something_else_has_made_is_refused(reproduce, checkout, ran):
    declare(checkout, ran)
    (checkout / FIRST / "run").mkdir(parents=True)
    (checkout / FIRST / "run/trainer.pt").touch()
    with pytest.raises(UserError, match=r"run: was not trained by clipnav .*remove"):
        reproduce("second")
    shutil.rmtree(checkout / FIRST / "run")
    reproduce("second")
    (checkout / FIRST / "run/model.safetensors").write_text("trained again")
    ran.clear()
    for _ in range(2):
        with pytest.raises(UserError, match=r"run/model.safetensors: has changed since clipnav t"):
            reproduce("second")
    assert not ran
    for run in ("run", "more"):
        shutil.rmtree(checkout / FIRST / run)
    reproduce("second")
    assert len(ran) == 4  # all but the other training


def test_trainings_are_resumed_from_their_saved_state(tmp_path):
    for name in ("train-agent", "pretrain-vl", "finetune-vqa"):
        words = ["clipnav", name, "--threads", "1", "--output", str(tmp_path / name)]
        step = running.ExperimentStep("experiment", " ".join(words))
        assert running.resumed(step) == words
        (tmp_path / name).mkdir()
        (tmp_path / name / "trainer.pt").touch()
        assert running.resumed(step) == ["clipnav", name, "--resume", str(tmp_path / name)]
        other = running.ExperimentStep("experiment", step.command.replace(f" {name} ", " demo "))
        assert running.resumed(other) == other.words

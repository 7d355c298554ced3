"""The command runs experiments, resumes them after failures and kills, and renders pages."""

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

from clipnav.experiments import running
from clipnav.experiments.declarations import read_experiments
from clipnav.experiments.steps import resumed
from clipnav.storage.errors import UserError
from tests.conftest import ROOT

BLOCKING = """
import threading
print("started", flush=True)
threading.Event().wait()  # until the process is stopped
"""


def test_an_experiment_runs_once_and_renders_its_page(reproduce, checkout):
    printed = reproduce("speed")
    assert "speed, step 2 of 2: benchmarks/second.py runs/results/speed/second.json" in printed
    record = json.loads((checkout / "docs/results/speed.json").read_text())
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=checkout, capture_output=True, text=True
    ).stdout.strip()
    assert (record["source"], record["commit"]) == ("measured", commit)
    assert record["rows"] == [["fast", 1234.5, pytest.approx(12.3)], ["slow", 2.5, None]]
    assert record["commands"][0] == "python benchmarks/first.py runs/results/speed/first.json"
    page = (checkout / "docs/page.md").read_text()
    assert "| fast | 1,234 | 12.3 |\n| slow | 2.5 | |\n" in page
    assert "Measured by `clipnav reproduce speed` (1 second)." in page
    written = (checkout / "docs/results/speed.json").read_bytes()
    assert "step" not in (again := reproduce("speed"))
    assert "to show the table" not in printed + again
    assert (checkout / "docs/results/speed.json").read_bytes() == written
    assert (checkout / "runs/results/speed/starts.txt").read_text() == "first\n"


def meet(job):
    """Stand-in for a step: wait until the other seed's step has started, too."""
    folder = job.checkout / job.words[-1]
    folder.mkdir(parents=True)
    other = folder.with_name(f"run-{1 - int(folder.name[-1])}")
    end = time.monotonic() + 100
    while not other.is_dir():
        assert time.monotonic() < end, f"{other.name} does not run at once with {folder.name}"
        time.sleep(0.05)
    (folder / "results.json").write_text(json.dumps({"results": {"SR": 0.5}}))
    return 1.5


def fail_first(job):
    """Stand-in for a step: that of seed 0 fails while that of seed 1 runs."""
    folder = job.checkout / job.words[-1]
    if folder.name == "run-0":
        folder.mkdir(parents=True)
        raise ChildProcessError("seed 0 failed")
    while not folder.with_name("run-0").is_dir():
        time.sleep(0.05)
    time.sleep(0.5)
    return 1.5


@pytest.fixture
def two_seeds(checkout) -> Path:
    """Declaration of an experiment with a step for each of two seeds; returns its outputs."""
    (checkout / "docs/results/experiments.toml").write_text("""
[speed]
page = "page.md"
budget = "1 second"
seeds = [0, 1]
steps = ["train-agent --seed {seed} --output {folder}/run-{seed}"]
columns = ["", "SR"]
rows = [["follower", "run-{seed}/results.json#results#SR"]]
""")
    return checkout / "runs/results/speed"


def test_seeds_run_at_once(reproduce, checkout, two_seeds, monkeypatch):
    monkeypatch.setattr(running, "_run_job", meet)
    printed = reproduce("speed", "--workers", "2")
    assert "speed, step 2 of 2: train-agent --seed 1" in printed
    assert "| follower | 50.0 ± 0.0 |" in (checkout / "docs/page.md").read_text()
    finished = json.loads((two_seeds / "finished.json").read_text())
    assert sorted(step["words"][2] for step in finished) == ["0", "1"]


def test_a_step_that_ends_after_another_has_failed_is_finished(reproduce, two_seeds, monkeypatch):
    monkeypatch.setattr(running, "_run_job", fail_first)
    with pytest.raises(ChildProcessError, match="seed 0 failed"):
        reproduce("speed", "--workers", "2")
    (step,) = json.loads((two_seeds / "finished.json").read_text())
    assert step["words"][-1] == "runs/results/speed/run-1"


def test_an_experiment_resumes_after_a_failed_step(reproduce, checkout):
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


def test_a_step_that_is_resumed_at_another_commit_names_both(reproduce, checkout):
    script = checkout / "benchmarks/second.py"
    whole = script.read_text()
    script.write_text("raise SystemExit('no second')")
    with pytest.raises(ChildProcessError):
        reproduce("speed")
    script.write_text(whole)
    reproduce("speed")
    first, second = json.loads((checkout / "docs/results/speed.json").read_text())["commit"].split(
        " and "
    )
    assert first == f"{second}+"


def test_a_changed_file_is_marked_in_the_commit(reproduce, checkout):
    with (checkout / "benchmarks/first.py").open("a") as file:
        file.write("# changed\n")
    reproduce("speed")
    assert json.loads((checkout / "docs/results/speed.json").read_text())["commit"][-1] == "+"


@pytest.mark.parametrize("request_to_stop", [signal.SIGKILL, signal.SIGTERM])
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


def test_trainings_are_resumed_from_their_saved_state(tmp_path):
    words = ["train-agent", "--threads", "1", "--output", str(tmp_path / "run")]
    assert resumed(words) == words
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "trainer.pt").touch()
    assert resumed(words) == ["train-agent", "--resume", str(tmp_path / "run")]
    assert resumed(["demo", *words[1:]]) == ["demo", *words[1:]]
    for experiment in read_experiments(ROOT / "docs" / "results").values():
        for name in {step.split()[0] for step in experiment.steps}:
            if name.startswith(("train-", "pretrain-", "finetune-")):
                assert resumed([name, *words[1:]])[1] == "--resume", name


def test_a_training_is_not_resumed_with_other_settings(reproduce, checkout, monkeypatch):
    declarations = checkout / "docs/results/experiments.toml"
    text = declarations.read_text()
    first = '"benchmarks/first.py {folder}/first.json"'
    train = '"train-agent --iterations NUMBER --output {folder}/run"'
    run = checkout / "runs/results/speed/run"
    ran: list[list[str]] = []

    def fake(job):
        ran.append(job.words)
        if job.words[0] == "train-agent":
            run.mkdir(parents=True, exist_ok=True)
            (run / "trainer.pt").touch()
            return 1.0
        return own_run(job)

    own_run = running._run_job
    monkeypatch.setattr(running, "_run_job", fake)
    monkeypatch.setattr(
        running, "run_jobs", lambda function, jobs, *_: ((j, function(j)) for j in jobs)
    )

    def declare(number: int) -> None:
        step = train.replace("NUMBER", str(number))
        declarations.write_text(text.replace(first, f"{step}, {first}"))

    declare(1)
    reproduce("speed")
    assert ran[0][:3] == ["train-agent", "--iterations", "1"]
    declare(2)
    ran.clear()
    for _ in range(2):
        with pytest.raises(UserError, match=r"run: trained by another .* 1 .*remove .*run to run"):
            reproduce("speed")
    assert not ran
    shutil.rmtree(run)
    reproduce("speed")
    assert ran == [["train-agent", "--iterations", "2", "--output", "runs/results/speed/run"]]
    declare(1)
    with pytest.raises(UserError, match="trained by another"):
        reproduce("speed")


def test_rendering_needs_no_experiment_to_run(reproduce, checkout):
    reproduce("speed")
    page = checkout / "docs/page.md"
    rendered = page.read_bytes()
    page.write_text(page.read_text().replace("1,234", "9,999"))
    assert reproduce("--render") == f"{page.relative_to(checkout)}: rendered\n"
    assert page.read_bytes() == rendered


def test_a_finished_table_is_rendered_before_another_experiment_fails(reproduce, checkout):
    (checkout / "benchmarks/third.py").write_text("raise SystemExit('no third')")
    with (checkout / "docs/results/experiments.toml").open("a") as file:
        file.write("""
[last]
page = "page.md"
budget = "1 second"
steps = ["benchmarks/third.py {folder}/third.json"]
columns = [""]
rows = [["row"]]
""")
    with pytest.raises(ChildProcessError, match="no third"):
        reproduce("speed", "last")
    assert "| fast | 1,234 | 12.3 |\n" in (checkout / "docs/page.md").read_text()


def test_a_table_without_a_place_on_a_page_is_named(reproduce, checkout):
    page = checkout / "docs/page.md"
    page.write_text("# Page\n")
    printed = reproduce("speed")
    assert "docs/page.md: to show the table, add the lines <!-- table: speed -->" in printed
    assert page.read_text() == "# Page\n"


def test_the_list_shows_state_and_budget(reproduce):
    (line,) = [line for line in reproduce("--list").splitlines() if line.startswith("speed")]
    assert re.split(r" {2,}", line) == ["speed", "page.md", "0", "1 second", "no record"]
    reproduce("speed")
    assert re.search(r"measured at \w+, [\d-]+; 2 of 2 steps finished in", reproduce("--list"))


def test_refusals(reproduce, checkout, capsys):
    with pytest.raises(ValueError, match=r"fast, quick: no such experiment; .* --list"):
        reproduce("fast", "speed", "quick")
    with pytest.raises(SystemExit):
        reproduce("speed", "--list")
    assert "give either names, --list or" in capsys.readouterr().err

"""The driver of comparisons: seeds, finished runs, damaged scores and failed trainings."""

import json
import signal
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from clipnav.storage import processes
from clipnav.storage.processes import run_jobs
from clipnav.training import comparisons
from clipnav.training.checkpoints import MODEL
from clipnav.training.comparisons import (
    LOG,
    SCORES,
    ComparisonRow,
    Job,
    logged,
    resumable_job,
    train_rows,
)
from clipnav.training.interruption import interruption
from clipnav.training.log import METRICS
from tests.training.sums import Config, Sums, make_trainer


def make_job(run: Path, arguments) -> Job:
    return Job(run, list(arguments))


def write_scores(job: Job) -> None:
    """Score a run by the number after --seed."""
    if "fail" in job.config:
        with logged(job.run):
            print("some output")
            raise SystemExit("diverged")
    job.run.mkdir(parents=True)
    scores = {"val": {"item": {"metric": float(job.config[-1]), "path": 1}}}
    (job.run / SCORES).write_text(json.dumps(scores))


train = partial(train_rows, workers=1, make_job=make_job, run_job=write_scores)


def seeds_of(results) -> dict[str, list[float]]:
    return {
        name: [scores["val"]["item"]["metric"] for scores in runs] for name, runs in results.items()
    }


def test_each_row_is_trained_with_each_seed_and_finished_runs_are_read(tmp_path):
    rows = [ComparisonRow("first", ("--start-from", "run-{seed}")), ComparisonRow("b c", ())]
    assert rows[0].arguments_for(seed=2) == ["--start-from", "run-2", "--seed", "2"]
    assert seeds_of(train(rows, 2, tmp_path)) == {"first": [0, 1], "b c": [0, 1]}
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [
        *("b-c-0", "b-c-1", "first-0", "first-1")
    ]
    changed = {"val": {"item": {"metric": 7, "path": 1}}}
    (tmp_path / "first-1" / SCORES).write_text(json.dumps(changed))
    assert seeds_of(train(rows, 3, tmp_path)) == {"first": [0, 7, 2], "b c": [0, 1, 2]}


def write_scores_after_the_bar(job: Job) -> None:
    """Score a run when its iterations have been shown."""
    job.run.mkdir(parents=True)
    (job.run / METRICS).write_text('{"kind": "train", "iteration": 50}\n')
    shown = job.run.parent / "shown"
    while not shown.exists():
        pass
    write_scores(Job(job.run / "again", job.config))
    (job.run / "again" / SCORES).rename(job.run / SCORES)


def test_the_iterations_of_running_trainings_are_shown(tmp_path, monkeypatch):
    class Bar:
        def set_postfix_str(self, text):
            if text:
                texts.append(text)
                (tmp_path / "shown").touch()

        def update(self, n=1):
            pass

    texts: list[str] = []
    monkeypatch.setattr(processes, "_SECONDS", 0.05)
    monkeypatch.setattr(comparisons, "progress_bar", lambda **_: nullcontext(Bar()))
    rows = [ComparisonRow("first", ())]
    train_rows(rows, 1, tmp_path, 1, make_job, write_scores_after_the_bar)
    assert texts[0] == "iterations: first-0 50"


def handler_of_a_training(job):
    with interruption():
        handler = signal.getsignal(signal.SIGTERM)
        return job, getattr(handler, "__name__", None)


def test_trainings_in_workers_end_at_once_with_their_comparison():
    assert list(run_jobs(handler_of_a_training, [1], 1, "trains")) == [(1, (1, "_terminate"))]


@pytest.mark.parametrize("text", ['{"val": {"item": {"metric": "high"}}}', '{"val": [1]}', "[]"])
def test_damaged_scores_are_named(tmp_path, text):
    run = tmp_path / "a-0"
    run.mkdir()
    (run / SCORES).write_text(text)
    with pytest.raises(ValueError, match=r"a-0/scores\.json: .*; delete it"):
        train([ComparisonRow("a", ())], 1, tmp_path)


def test_a_failed_training_names_its_log(tmp_path):
    with pytest.raises(ChildProcessError, match=r"a-0: diverged \(.*output\.txt contains"):
        train([ComparisonRow("a", ("fail",))], 1, tmp_path)
    assert (tmp_path / "a-0" / LOG).read_text() == "some output\n"


# The folders CLIP and clip are the same one on Windows and macOS.
@pytest.mark.parametrize(("first", "second"), [("a b", "a-b"), ("CLIP", "clip")])
def test_rows_of_one_folder_are_refused(tmp_path, first, second):
    with pytest.raises(ValueError, match=f"{first}, {second} give the same folder; rename"):
        train([ComparisonRow(first, ()), ComparisonRow(second, ())], 1, tmp_path)


def test_a_run_that_was_killed_before_its_first_weights_is_resumed(tmp_path):
    learner = Sums()
    first = make_trainer(tmp_path / "a-0", learner)
    first.save()
    first.close()
    (first.run / MODEL).unlink()

    def job():
        return resumable_job(
            first.run, Config(), frozenset({"resume", "output"}), lambda: {"words": "two"}
        )

    assert job().config.resume == first.run
    (first.run / SCORES).write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors: no such file"):
        job()

"""Jobs in worker processes: results and failures."""

import os
import signal
import subprocess
import sys
import time

import pytest

from clipnav.storage.processes import run_jobs
from tests.conftest import ROOT


def do(job):
    """Write a file, then end as the name of the job requires."""
    job.touch()
    match job.stem:
        case "wrong":
            raise ValueError(f"{job.name} is wrong")
        case "interrupted":
            raise KeyboardInterrupt
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
    return job.suffix


def test_each_job_is_yielded_with_its_result(tmp_path):
    jobs = [tmp_path / f"good.{number}" for number in range(5)]
    results = dict(run_jobs(do, jobs, 2, "does jobs"))
    assert results == {job: job.suffix for job in jobs}
    assert not list(run_jobs(do, [], 2, "does jobs"))


@pytest.mark.parametrize(
    ("end", "error", "message"),
    [
        ("wrong", ValueError, "wrong.1 is wrong"),
        ("interrupted", KeyboardInterrupt, None),
        ("killed", ChildProcessError, "that does jobs was killed; .* fewer --workers"),
    ],
)
def test_no_job_starts_after_a_failed_one(tmp_path, end, error, message):
    jobs = [tmp_path / name for name in ("good.0", f"{end}.1", "good.2", "good.3")]
    with pytest.raises(error, match=message):
        list(run_jobs(do, jobs, 1, "does jobs"))
    assert sorted(tmp_path.iterdir()) == jobs[:2]


def test_jobs_that_end_with_a_failed_one_are_yielded_and_start_no_others(tmp_path):
    jobs = [tmp_path / name for name in ("good.0", "good.1", "wrong.2", "good.3", "good.4")]
    yielded = []

    def consume():
        for job, _ in run_jobs(do, jobs, 2, "does jobs"):
            yielded.append(job)
            time.sleep(0.4)  # until all running jobs have ended

    with pytest.raises(ValueError, match=r"wrong\.2 is wrong"):
        consume()
    started = set(tmp_path.iterdir())
    assert started - set(yielded) == {jobs[2]}
    assert jobs[4] not in started


def wait_for_the_failure(job):
    """Fail, or end after the failure of the other job."""
    if job.stem == "wrong":
        job.touch()
        raise ValueError(f"{job.name} is wrong")
    while not job.with_name("wrong.0").exists():
        time.sleep(0.01)
    time.sleep(0.5)
    return job.suffix


def test_jobs_that_run_when_another_fails_are_yielded_before_the_failure(tmp_path, capsys):
    jobs = [tmp_path / name for name in ("wrong.0", "good.1", "good.2")]
    yielded = []
    with pytest.raises(ValueError, match=r"wrong\.0 is wrong"):  # noqa: PT012
        for job, _ in run_jobs(wait_for_the_failure, jobs, 2, "does jobs"):
            yielded.append(job)
    assert yielded == [jobs[1]]
    printed = capsys.readouterr().err
    assert printed == "wrong.0 is wrong\nWaiting for 1 other job; press Ctrl-C to stop at once.\n"


def test_jobs_that_are_not_ready_start_after_another_has_been_yielded(tmp_path):
    yielded = []

    def jobs():
        yield tmp_path / "good.0"
        while not yielded:
            yield None
        yield tmp_path / "good.1"

    for job, _ in run_jobs(do, jobs(), 3, "does jobs"):
        yielded.append(job.name)
    assert yielded == ["good.0", "good.1"]


@pytest.mark.parametrize(("depend", "known"), [(True, [0, 1, 2]), (False, [0, 0, 1])])
def test_jobs_that_depend_on_others_are_chosen_once_those_have_been_yielded(
    depend, known, tmp_path
):
    yielded, found = [], []

    def jobs():
        for number in range(3):
            found.append(len(yielded))
            yield tmp_path / f"good.{number}"

    for job, _ in run_jobs(do, jobs(), 1, "does jobs", depend=depend):
        yielded.append(job)
    assert found == known


def test_an_error_of_the_iterable_lets_running_jobs_end(tmp_path):
    def jobs():
        yield tmp_path / "good.0"
        raise ValueError("no more")

    yielded = []
    with pytest.raises(ValueError, match="no more"):  # noqa: PT012
        for job, _ in run_jobs(do, jobs(), 2, "does jobs"):
            yielded.append(job.name)
    assert yielded == ["good.0"]


def interrupt_handler(job):
    return job, signal.getsignal(signal.SIGINT)


def test_workers_ignore_ctrl_c_where_signals_cannot_be_blocked(monkeypatch):
    monkeypatch.delattr(signal, "pthread_sigmask")  # Windows
    assert list(run_jobs(interrupt_handler, [1], 1, "ignores")) == [(1, (1, signal.SIG_IGN))]


def fail_while_another_job_runs(started):
    """Start two jobs and fail as soon as the first is done."""
    for _ in run_jobs(wait, [0.2, 1.2], 2, "waits"):
        started.touch()
        raise ValueError("stopped")


def wait(seconds):
    time.sleep(seconds)


def test_a_worker_that_has_workers_itself_ends(tmp_path):
    program = f"""
from pathlib import Path
from clipnav.storage.processes import run_jobs
from tests.storage.test_processes import fail_while_another_job_runs

if __name__ == "__main__":
    list(run_jobs(fail_while_another_job_runs, [Path({str(tmp_path / "started")!r})], 1, "starts"))
"""
    script = tmp_path / "nested.py"
    script.write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # A process that waited for its workers in vain would run into the limit.
    ended = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (tmp_path / "started").exists(), ended.stderr
    assert ended.stderr.endswith("ValueError: stopped\n")

"""Jobs in worker processes: results and failures."""

import os
import signal

import pytest

from storage.processes import run_jobs


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

"""Execution of experiments: their steps, resumable, and the records of their rows.

FOLDER/finished.json lists the finished steps (`finished`), and FOLDER/started.json the commits at
which each step was started. A training that was interrupted is resumed from its last saved state;
any other interrupted step is run again. A training that was started with other settings is refused.
"""

import json
import os
import runpy
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from clipnav.cli import main
from clipnav.experiments.declarations import Experiment
from clipnav.experiments.finished import finished_step, is_missing, write_finished
from clipnav.experiments.provenance import commit
from clipnav.experiments.records import Record
from clipnav.experiments.rows import read_rows
from clipnav.experiments.schedule import Schedule
from clipnav.experiments.steps import (
    BENCHMARKS,
    Step,
    command_lines,
    replaces,
    resumed,
    run_folder,
    steps_needed,
)
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json
from clipnav.storage.processes import run_jobs
from clipnav.training.interruption import interruption_message

STARTED = "started.json"
_THREADS = "OMP_NUM_THREADS"


class Job(NamedTuple):
    """A step to run in a process of its own.

    Attributes:
        step: The step.
        commits: Commits at which it was started.
        words: Its words, or those that resume it.
        checkout: Folder of the checkout.
    """

    step: Step
    commits: list[str]
    words: list[str]
    checkout: Path


def run_experiments(
    names: Sequence[str],
    experiments: Mapping[str, Experiment],
    checkout: Path,
    output: Path,
    workers: int = 1,
) -> Iterator[Record]:
    """Run the steps that are not finished; yield the record of each table once its steps ended.

    A table whose results lack a file or a value is reported at the end, after all other steps.

    Args:
        names: Names of the experiments.
        experiments: All experiments.
        checkout: Folder of the checkout.
        output: Folder that contains the folder of the outputs of each experiment.
        workers: Number of steps that run at once; each starts when those that it waits for have
            ended (`steps.predecessors`).

    Raises:
        UserError: The results lack a file or a value, or a training was started with other
            settings.
        ChildProcessError: A step failed; the message contains its error.
        OutputInUseError: Another process runs one of the experiments in this folder.
    """
    left = {name: steps_needed([name], experiments, output) for name in names}
    steps = steps_needed(names, experiments, output)
    folders = ", ".join(str(output / name) for name in left)
    failures: list[str] = []
    hint = f"Finished steps are kept in {folders}; run the same command again to resume"

    def records() -> Iterator[Record]:
        ended = [name for name, own in left.items() if all(map(schedule.has_ended, own))]
        for name in ended:
            try:
                record = _record_of(name, left.pop(name), experiments, output)
            except (OSError, UserError) as error:
                failures.append(str(error))
            else:
                yield record

    with Schedule(steps) as schedule, interruption_message(lambda: hint), _one_thread():
        for step in steps:
            if finished_step(step) is None:
                _check_run_folder(step)
        jobs = _jobs(schedule, steps, experiments, checkout)
        for job, seconds in run_jobs(_run_job, jobs, workers, "runs a step"):
            write_finished(job.step, job.commits, seconds)
            schedule.end(job.step)
            yield from records()
        yield from records()
    if failures:
        raise UserError("\n".join(failures))


def _jobs(
    schedule: Schedule,
    steps: Sequence[Step],
    experiments: Mapping[str, Experiment],
    checkout: Path,
) -> Iterator[Job | None]:
    """Yield the steps that are not finished; None while all that are left wait for others."""
    while len(schedule):
        step = schedule.take()
        if step is None:
            yield None
        elif is_missing(step, experiments):
            own = [other for other in steps if other.experiment == step.experiment]
            title = f"{step.experiment}, step {own.index(step) + 1} of {len(own)}"
            print(f"{title}: {shlex.join(step.words)}", flush=True)
            commits = _start(step, commit(checkout))
            yield Job(step, commits, resumed(step.words), checkout)
        else:
            schedule.end(step)


def _record_of(
    name: str, steps: Sequence[Step], experiments: Mapping[str, Experiment], output: Path
) -> Record:
    """Return the record of an experiment whose steps have ended."""
    experiment = experiments[name]
    done = [found for step in steps if (found := finished_step(step)) is not None]
    return Record(
        experiment=name,
        source="measured",
        commit=" and ".join(dict.fromkeys(c for step in done for c in step.commits)),
        date=max(step.date for step in done),
        machine=done[-1].machine,
        seeds=experiment.seeds,
        commands=tuple(command_lines(name, experiments)),
        columns=tuple(column.name for column in experiment.column_list()),
        rows=read_rows(experiment, output / name),
    )


def _start(step: Step, version: str) -> list[str]:
    """Write the commit at which a step starts; return those of its earlier starts as well."""
    started, name = _started(step.folder), shlex.join(step.words)
    commits = list(dict.fromkeys([*started.get(name, []), version]))
    kept = {k: v for k, v in started.items() if not replaces(step.words, shlex.split(k))}
    write_text(step.folder / STARTED, json.dumps({**kept, name: commits}, indent=2) + "\n")
    return commits


def _started(folder: Path) -> dict[str, list[str]]:
    """Return the commits at which each step was started."""
    path = folder / STARTED
    remedy = f"remove {folder} to run the experiment from the start"
    return read_json(path, remedy, dict[str, list[str]]) if path.is_file() else {}


def _check_run_folder(step: Step) -> None:
    """Refuse to resume a training that this experiment has not started with the same settings.

    Raises:
        UserError: The declaration has changed since the training was started, or something else
            has trained in its folder.
    """
    started, words = _started(step.folder), step.words
    if resumed(words) == words or shlex.join(words) in started:
        return
    others = [name for name in started if replaces(words, shlex.split(name))]
    other = f"by another command, {others[0]}" if others else "outside of this experiment"
    run = run_folder(words)
    raise UserError(
        f"{run}: trained {other}, but the experiment declares {shlex.join(words)}; remove {run} to "
        "run it"
    )


def _run_job(job: Job) -> float:
    """Run a step in a new process, as commands change global state; return the seconds."""
    start = time.perf_counter()
    for _ in run_jobs(run_step, [(job.words, job.checkout)], 1, f"runs {job.words[0]}"):
        pass
    return round(time.perf_counter() - start, 1)


def run_step(job: tuple[Sequence[str], Path]) -> None:
    """Run a command of clipnav or a benchmark.

    Args:
        job: Words of the command, and the folder of the checkout.

    Raises:
        ChildProcessError: The command failed.
    """
    (name, *arguments), checkout = job
    try:
        if name.startswith(BENCHMARKS):
            path = checkout / name
            sys.argv = [str(path), *arguments]
            sys.path.insert(0, str(path.parent))  # as Python does for a script
            runpy.run_path(str(path), run_name="__main__")
            status: int | str | None = 0
        else:
            status = main([name, *arguments])
    except SystemExit as end:
        status = end.code
    if status:
        # The reason first: the words of a step can be longer than what is printed at once.
        raise ChildProcessError(f"{name} failed: {status}\nStep: {shlex.join([name, *arguments])}")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let libraries of child processes use one thread, unless the user has chosen a number."""
    if _THREADS in os.environ:
        yield
        return
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        del os.environ[_THREADS]

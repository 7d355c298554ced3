"""Execution of an experiment: its steps, resumable, and the record of its rows.

Finished steps are listed in FOLDER/finished.json, and the commits at which each step was started in
FOLDER/started.json. A training that was interrupted is resumed from its last saved state; any other
interrupted step is run again. A training that was started with other settings is refused. A step
that read the output of another step is no longer finished when that step has run again. An output
that something else than its step has made again is refused.
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

import msgspec

from clipnav.cli import main
from clipnav.experiments.declarations import Experiment
from clipnav.experiments.provenance import Machine, commit, machine, today
from clipnav.experiments.records import Record
from clipnav.experiments.rows import read_rows
from clipnav.experiments.schedule import Schedule
from clipnav.experiments.steps import (
    BENCHMARKS,
    Step,
    command_lines,
    content_files,
    output_folder,
    read_output,
    replaces,
    resumed,
    run_folder,
    steps_needed,
)
from storage import file_sha256, write_text
from storage.errors import UserError
from storage.json_files import read_json
from storage.processes import run_jobs
from training.interruption import interruption_message

FINISHED, STARTED = "finished.json", "started.json"
_THREADS = "OMP_NUM_THREADS"


class FinishedStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step that has ended without an error: its words, and where and when it ran.

    Attributes:
        words: Words of the step.
        commits: Commits at which it was started.
        date: Date of its end, YYYY-MM-DD.
        seconds: Time that it took.
        machine: Processor, cores, load and versions.
        ended: Time of its end in seconds since 1970; 0 in files of earlier versions.
        digests: SHA-256 of its outputs, by path (`content_files`); empty in files of earlier
            versions.
    """

    words: tuple[str, ...]
    commits: tuple[str, ...]
    date: str
    seconds: float
    machine: Machine
    ended: float = 0.0
    digests: dict[str, str] = {}


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


def finished_steps(folder: Path) -> list[FinishedStep]:
    """Return the finished steps in the folder of an experiment.

    Raises:
        UserError: The file is damaged.
    """
    path = folder / FINISHED
    if not path.is_file():
        return []
    remedy = f"remove {folder} to run the experiment from the start"
    try:
        return msgspec.convert(read_json(path, remedy), list[FinishedStep])
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {error}; {remedy}") from error


def run_experiment(
    name: str,
    experiments: Mapping[str, Experiment],
    checkout: Path,
    output: Path,
    workers: int = 1,
) -> Record:
    """Run the steps that are not finished, and return the record of the table.

    Args:
        name: Name of the experiment.
        experiments: All experiments.
        checkout: Folder of the checkout.
        output: Folder that contains the folder of the outputs of each experiment.
        workers: Number of steps that run at once; each starts when those that it waits for have
            ended (`steps.predecessors`).

    Raises:
        UserError: The results lack a value, or a training was started with other settings.
        ChildProcessError: A step failed; the message contains its error.
        OutputInUseError: Another process runs the experiment in this folder.
    """
    experiment, folder = experiments[name], output / name
    steps = steps_needed(name, experiments, output)
    _run_steps(steps, experiments, checkout, folder, workers)
    done = [found for step in steps if (found := _finished(step)) is not None]
    return Record(
        experiment=name,
        source="measured",
        commit=" and ".join(dict.fromkeys(c for step in done for c in step.commits)),
        date=max(step.date for step in done),
        machine=done[-1].machine,
        seeds=experiment.seeds,
        commands=tuple(command_lines(name, experiments, output)),
        columns=tuple(column.name for column in experiment.column_list()),
        rows=read_rows(experiment, folder),
    )


def _run_steps(
    steps: Sequence[Step],
    experiments: Mapping[str, Experiment],
    checkout: Path,
    folder: Path,
    workers: int,
) -> None:
    """Run the steps that are not finished, each in a process of its own, and record them."""
    hint = f"Finished steps are kept in {folder}; run the same command again to resume"

    def jobs(schedule: Schedule) -> Iterator[Job | None]:
        while len(schedule):
            step = schedule.take()
            if step is None:
                yield None
            elif _is_missing(step, experiments):
                own = [other for other in steps if other.experiment == step.experiment]
                title = f"{step.experiment}, step {own.index(step) + 1} of {len(own)}"
                print(f"{title}: {shlex.join(step.words)}", flush=True)
                commits = _start(step, commit(checkout))
                yield Job(step, commits, resumed(step.words), checkout)
            else:
                schedule.end(step)

    with Schedule(steps) as schedule, interruption_message(lambda: hint), _one_thread():
        for step in steps:
            if _finished(step) is None:
                _check_run_folder(step)
        for job, seconds in run_jobs(_run_job, jobs(schedule), workers, "runs a step"):
            _record(job, seconds)
            schedule.end(job.step)


def _finished(step: Step) -> FinishedStep | None:
    """Return the record of a step if it is finished."""
    found = (one for one in finished_steps(step.folder) if list(one.words) == step.words)
    return next(found, None)


def _is_missing(step: Step, experiments: Mapping[str, Experiment]) -> bool:
    """Return whether a step is not finished, or its inputs have changed since.

    Raises:
        UserError: The inputs of the step have changed, but the folder of its output still exists;
            or its output was made again by something else.
    """
    finished = _finished(step)
    if finished is None or not _is_kept(finished):
        return True
    folders = (step.folder.parent / one for one in experiments[step.experiment].requires)
    sources = [one for folder in (step.folder, *folders) for one in finished_steps(folder)]
    changed = _changed_input(finished, sources)
    output = output_folder(step.words)
    if changed is not None and output is not None and Path(output).exists():
        raise UserError(
            f"{output}: made from {changed}, which has been made again since; remove {output} "
            "to make it again, too"
        )
    return changed is not None


def _is_kept(step: FinishedStep) -> bool:
    """Return whether the outputs of a finished step still exist.

    Raises:
        UserError: An output is no longer what the step has made.
    """
    for path, digest in step.digests.items():
        if not Path(path).is_file():
            return False
        if file_sha256(path) != digest:
            raise UserError(
                f"{path}: has changed since {shlex.join(step.words)} ended on {step.date}; restore "
                "it, or remove it with its folder to run this step again"
            )
    return True


def _changed_input(step: FinishedStep, sources: Sequence[FinishedStep]) -> str | None:
    """Return an output of other steps that a step has read and that was made again since."""
    later = (read_output(step.words, one.words) for one in sources if one.ended > step.ended)
    return next((output for output in later if output is not None), None)


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
    return read_json(path, remedy) if path.is_file() else {}


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


def _record(job: Job, seconds: float) -> None:
    """Add a step that has ended to the finished ones of its experiment."""
    step, words = job.step, tuple(job.step.words)
    digests = {path: file_sha256(path) for path in content_files(words)}
    ended = FinishedStep(
        words, tuple(job.commits), today(), seconds, machine(), time.time(), digests
    )
    kept = [
        other
        for other in finished_steps(step.folder)
        if other.words != words and not replaces(words, other.words)
    ]
    content = msgspec.to_builtins([*kept, ended])
    write_text(step.folder / FINISHED, json.dumps(content, indent=2) + "\n")


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
        raise ChildProcessError(f"{shlex.join([name, *arguments])}: failed: {status}")


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

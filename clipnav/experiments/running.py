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

import msgspec

from clipnav.cli import main
from clipnav.experiments.declarations import Experiment
from clipnav.experiments.provenance import Machine, commit, machine, today
from clipnav.experiments.records import Record
from clipnav.experiments.rows import read_rows
from clipnav.experiments.steps import (
    BENCHMARKS,
    command_lines,
    content_files,
    output_folder,
    read_output,
    replaces,
    required,
    resumed,
    run_folder,
    steps_of,
    waves_of,
)
from storage import file_sha256, write_text
from storage.errors import UserError
from storage.json_files import read_json
from storage.locks import sole_writer
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

    The steps of required experiments run first.

    Args:
        name: Name of the experiment.
        experiments: All experiments.
        checkout: Folder of the checkout.
        output: Folder that contains the folder of the outputs of each experiment.
        workers: Number of steps that run at once, where none needs the output of another.

    Raises:
        UserError: The results lack a value, or a training was started with other settings.
        ChildProcessError: A step failed; the message contains its error.
        OutputInUseError: Another process runs the experiment in this folder.
    """
    experiment, folder = experiments[name], output / name
    done: list[FinishedStep] = []
    for part in (*required(name, experiments), name):
        done += _run_steps(part, experiments[part], checkout, output / part, workers)
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
    name: str, experiment: Experiment, checkout: Path, folder: Path, workers: int
) -> list[FinishedStep]:
    """Run the steps of an experiment that are not finished; return all of its finished steps."""
    steps = steps_of(experiment, folder)
    folder.mkdir(parents=True, exist_ok=True)
    hint = f"Finished steps are kept in {folder}; run the same command again to resume"
    with sole_writer(folder), interruption_message(lambda: hint), _one_thread():
        for wave in waves_of(steps, folder) if workers > 1 else [[step] for step in steps]:
            missing = _missing(wave, folder, [folder.parent / one for one in experiment.requires])
            for words in missing:
                _check_run_folder(folder, words)
            titles = [f"{name}, step {steps.index(words) + 1} of {len(steps)}" for words in missing]
            for step in _run(missing, titles, checkout, folder, workers):
                kept = [
                    other
                    for other in finished_steps(folder)
                    if other.words != step.words and not replaces(step.words, other.words)
                ]
                _write_finished(folder, [*kept, step])
    return [step for step in finished_steps(folder) if list(step.words) in steps]


def _missing(
    wave: Sequence[list[str]], folder: Path, required_folders: Sequence[Path]
) -> list[list[str]]:
    """Return the steps of a wave that are not finished, or whose inputs have changed since.

    Raises:
        UserError: The inputs of a step have changed, but the folder of its output still exists; or
            its output was made again by something else.
    """
    finished = {step.words: step for step in finished_steps(folder)}
    sources = [*finished.values()]
    for other in required_folders:
        sources += finished_steps(other)
    missing = []
    for words in wave:
        step = finished.get(tuple(words))
        if step is not None and not _is_kept(step):
            step = None
        changed = None if step is None else _changed_input(step, sources)
        output = output_folder(words)
        if changed is not None and output is not None and Path(output).exists():
            raise UserError(
                f"{output}: made from {changed}, which has been made again since; remove {output} "
                "to make it again, too"
            )
        if step is None or changed is not None:
            missing.append(words)
    return missing


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


def _start(folder: Path, words: Sequence[str], version: str) -> list[str]:
    """Write the commit at which a step starts; return those of its earlier starts as well."""
    started, name = _started(folder), shlex.join(words)
    commits = list(dict.fromkeys([*started.get(name, []), version]))
    kept = {k: v for k, v in started.items() if not replaces(words, shlex.split(k))}
    write_text(folder / STARTED, json.dumps({**kept, name: commits}, indent=2) + "\n")
    return commits


def _started(folder: Path) -> dict[str, list[str]]:
    """Return the commits at which each step was started."""
    path = folder / STARTED
    remedy = f"remove {folder} to run the experiment from the start"
    return read_json(path, remedy) if path.is_file() else {}


def _check_run_folder(folder: Path, words: Sequence[str]) -> None:
    """Refuse to resume a training that this experiment has not started with the same settings.

    Raises:
        UserError: The declaration has changed since the training was started, or something else
            has trained in its folder.
    """
    started = _started(folder)
    if resumed(words) == list(words) or shlex.join(words) in started:
        return
    others = [name for name in started if replaces(words, shlex.split(name))]
    other = f"by another command, {others[0]}" if others else "outside of this experiment"
    run = run_folder(words)
    raise UserError(
        f"{run}: trained {other}, but the experiment declares {shlex.join(words)}; remove {run} to "
        "run it"
    )


def _run(
    steps: Sequence[list[str]], titles: Sequence[str], checkout: Path, folder: Path, workers: int
) -> Iterator[FinishedStep]:
    """Run steps, each in a process of its own, which ends together with this one."""
    commits = {}

    def jobs() -> Iterator[tuple[list[str], list[str], Path]]:
        for words, title in zip(steps, titles, strict=True):
            print(f"{title}: {shlex.join(words)}", flush=True)
            commits[tuple(words)] = _start(folder, words, commit(checkout))
            yield words, resumed(words), checkout

    for (words, _, _), seconds in run_jobs(_run_in_own_process, jobs(), workers, "runs a step"):
        step = tuple(words)
        digests = {path: file_sha256(path) for path in content_files(words)}
        yield FinishedStep(
            step, tuple(commits[step]), today(), seconds, machine(), time.time(), digests
        )


def _run_in_own_process(job: tuple[list[str], list[str], Path]) -> float:
    """Run a step in a new process, as commands change global state; return the seconds."""
    _, words, checkout = job
    start = time.perf_counter()
    for _ in run_jobs(run_step, [(words, checkout)], 1, f"runs {words[0]}"):
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


def _write_finished(folder: Path, steps: Sequence[FinishedStep]) -> None:
    write_text(folder / FINISHED, json.dumps(msgspec.to_builtins(steps), indent=2) + "\n")


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

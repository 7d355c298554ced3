"""Execution of experiments, resumable.

FOLDER/steps.json contains what is known of each step of an experiment: the commits at which it was
started, when it ended, and the digests of its outputs. A training that was interrupted is resumed
from its last saved state; any other interrupted step is run again. An output that something else
than its step has made is refused.
"""

import json
import os
import runpy
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from clipnav.cli import main
from clipnav.envs.houses.building.house import GENERATOR_VERSION
from clipnav.experiments.declarations import Experiment, ExperimentStep, command_lines, steps_needed
from clipnav.experiments.records import ExperimentRecord, Machine, commit, machine, read_rows
from clipnav.storage import file_sha256, write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json
from clipnav.storage.locks import exclusive_lock
from clipnav.storage.processes import run_jobs
from clipnav.training.interruption import interruption_message

_CONTENT = (
    "model.safetensors",
    "results.json",
    "comparison.json",
)  # identify what a step made


class StepState(msgspec.Struct, forbid_unknown_fields=True):
    """What is known of a step.

    Attributes:
        commits: Commits at which it was started.
        ended: Time of its end in seconds since 1970, later than that of the steps before; 0 until
            then.
        machine: Processor, cores, load and versions.
        digests: SHA-256 of its weights and scores, by path; empty if it writes none.
    """

    commits: list[str]
    ended: float = 0.0
    machine: Machine = {}
    digests: dict[str, str] = {}


def read_states(folder: Path) -> dict[str, StepState]:
    """Return the states of the steps in the folder of an experiment, by command."""
    path = folder / "steps.json"
    if not path.is_file():
        return {}
    hint = f"remove {folder} to run the experiment from the start"
    return read_json(path, hint, dict[str, StepState])


def _write_state(step: ExperimentStep, state: StepState) -> None:
    """Store the state of a step, without those whose outputs it overwrites."""
    states = read_states(step.folder)
    for command in list(states):
        if command != step.command and ExperimentStep("", command).outputs & step.outputs:
            del states[command]
    states[step.command] = state
    text = json.dumps(msgspec.to_builtins(states), indent=2) + "\n"
    write_text(step.folder / "steps.json", text)


def run_experiments(
    names: Sequence[str], experiments: Mapping[str, Experiment], workers: int = 1
) -> Iterator[str]:
    """Run the steps that are not finished; yield the name of each experiment once they have ended.

    A step starts when those from which it reads have ended. A benchmark, and a step that writes
    nothing into the folder of its experiment, such as one that fills the cache of the houses, runs
    alone.
    """
    left = {name: set(steps_needed([name], experiments)) for name in names}
    steps = steps_needed(names, experiments)
    folders = list(dict.fromkeys(step.folder for step in steps))
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    kept = ", ".join(map(str, folders))
    hint = f"Finished steps are kept in {kept}; run the same command again to resume"
    ended: set[ExperimentStep] = set()

    def complete() -> Iterator[str]:
        for name in [name for name, own in left.items() if own <= ended]:
            del left[name]
            yield name

    with exclusive_lock(*folders), interruption_message(lambda: hint):
        for step in steps:  # a training that another step has started is not resumed
            if resumed(step) != step.words and step.command not in read_states(step.folder):
                raise UserError(
                    f"{step.run_folder}: was not trained by {step.command}, which the experiment "
                    f"declares; remove {step.run_folder} to run it"
                )
        jobs = _jobs(steps, ended)
        for job, _ in run_jobs(_run_job, jobs, workers, "runs a step", depend=True):
            state = read_states(job.step.folder)[job.step.command]
            known = [one.ended for folder in folders for one in read_states(folder).values()]
            # Later than what it has read, also after a clock that went back.
            state.ended = max(time.time(), max(known) + 0.001)
            state.machine = machine()
            outputs = sorted(job.step.outputs)
            files = [*(f"{folder}/{name}" for folder in outputs for name in _CONTENT), *outputs]
            state.digests = {file: file_sha256(file) for file in files if Path(file).is_file()}
            _write_state(job.step, state)
            ended.add(job.step)
            yield from complete()
        yield from complete()


def record_of(name: str, experiments: Mapping[str, Experiment]) -> ExperimentRecord:
    """Return the record of an experiment whose steps have ended."""
    experiment = experiments[name]
    steps = steps_needed([name], experiments)
    states = [read_states(step.folder)[step.command] for step in steps]
    last = time.gmtime(max(state.ended for state in states))
    return ExperimentRecord(
        experiment=name,
        commit=" and ".join(dict.fromkeys(c for state in states for c in state.commits)),
        date=time.strftime("%Y-%m-%d", last),
        machine=states[-1].machine,
        seeds=experiment.seeds,
        world_version=GENERATOR_VERSION if experiment.houses else None,
        commands=tuple(command_lines(name, experiments)),
        columns=tuple(column.name for column in experiment.column_list()),
        rows=read_rows(name, experiment),
    )


class Job(NamedTuple):
    """A step to run, and its words or those that resume it."""

    step: ExperimentStep
    words: list[str]


def _jobs(steps: Sequence[ExperimentStep], ended: set[ExperimentStep]) -> Iterator[Job | None]:
    """Yield the steps that are not finished; None while all that are left wait for others."""
    left = dict(enumerate(steps))
    while left:
        number = next((k for k in left if _is_ready(steps, k, ended)), None)
        if number is None:
            yield None
            continue
        step = left.pop(number)
        if is_finished(step, steps[:number]):
            ended.add(step)
            continue
        own = [other for other in steps if other.experiment == step.experiment]
        title = f"{step.experiment}, step {own.index(step) + 1} of {len(own)}"
        print(f"{title}: {step.command}", flush=True)
        earlier = read_states(step.folder).get(step.command, StepState([])).commits
        _write_state(step, StepState(list(dict.fromkeys([*earlier, commit()]))))
        yield Job(step, resumed(step))


def _is_ready(steps: Sequence[ExperimentStep], number: int, ended: set[ExperimentStep]) -> bool:
    """Return whether the steps have ended that must end before another starts."""
    step = steps[number]
    return all(
        other in ended
        for other in steps[:number]
        if step.runs_alone or other.runs_alone or step.input_from(other)
    )


def is_finished(step: ExperimentStep, earlier: Sequence[ExperimentStep]) -> bool:
    """Return whether a step has ended, and neither outputs nor inputs have changed since."""
    state = read_states(step.folder).get(step.command)
    if state is None or not state.ended:
        return False
    if not all(map(os.path.exists, step.outputs)):
        return False
    for path, digest in state.digests.items():
        if not Path(path).is_file():
            return False
        if file_sha256(path) != digest:
            raise UserError(
                f"{path}: has changed since {step.command} ended; restore it, or remove it with "
                "its folder to run this step again"
            )
    for other in earlier:
        source = step.input_from(other)
        if source is None or read_states(other.folder)[other.command].ended < state.ended:
            continue
        for output in filter(os.path.isdir, sorted(step.outputs)):
            raise UserError(
                f"{output}: made from {source}, which has been made again since; remove {output} "
                "to make it again, too"
            )
        return False
    return True


def resumed(step: ExperimentStep) -> list[str]:
    """Return the words of a step, or those that resume its training from a saved state."""
    run = step.run_folder
    if run is not None and Path(run, "trainer.pt").is_file():
        return [*step.words[:2], "--resume", run]
    return step.words


def _run_job(job: Job) -> None:
    """Run a step in a new process, as commands change global state."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for _ in run_jobs(_run_step, [job.words], 1, f"runs {job.words[1]}"):
        pass


def _run_step(words: Sequence[str]) -> None:
    """Run a command of clipnav or a benchmark."""
    program, name, *arguments = words
    try:
        if program == "python":
            sys.argv = [name, *arguments]
            sys.path.insert(0, str(Path(name).parent))  # as Python does for a script
            runpy.run_path(name, run_name="__main__")
            status: int | str | None = 0
        else:
            status = main([name, *arguments])
    except SystemExit as end:
        status = end.code
    if status:
        # The reason first: the words of a step can be longer than what is printed at once.
        raise ChildProcessError(f"{name} failed: {status}\nStep: {shlex.join(words)}")

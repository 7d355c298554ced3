"""Records of the steps of an experiment that have ended, and whether they are still valid.

FOLDER/finished.json lists them. A step that read the output of another step is no longer finished
when that step has run again. An output that something else than its step has made again is refused.
"""

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from clipnav.experiments.declarations import Experiment
from clipnav.experiments.provenance import Machine, machine, today
from clipnav.experiments.steps import (
    Step,
    content_files,
    output_folder,
    read_output,
    replaces,
)
from clipnav.storage import file_sha256, write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json

FINISHED = "finished.json"


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
    return read_json(path, remedy, list[FinishedStep])


def write_finished(step: Step, commits: Sequence[str], seconds: float) -> None:
    """Add a step that has ended to the finished ones of its experiment.

    Args:
        step: The step.
        commits: Commits at which it was started.
        seconds: Time that it took.
    """
    words = tuple(step.words)
    digests = {path: file_sha256(path) for path in content_files(words)}
    ended = FinishedStep(words, tuple(commits), today(), seconds, machine(), time.time(), digests)
    kept = [
        other
        for other in finished_steps(step.folder)
        if other.words != words and not replaces(words, other.words)
    ]
    content = msgspec.to_builtins([*kept, ended])
    write_text(step.folder / FINISHED, json.dumps(content, indent=2) + "\n")


def finished_step(step: Step) -> FinishedStep | None:
    """Return the record of a step if it is finished."""
    found = (one for one in finished_steps(step.folder) if list(one.words) == step.words)
    return next(found, None)


def is_missing(step: Step, experiments: Mapping[str, Experiment]) -> bool:
    """Return whether a step is not finished, or its inputs have changed since.

    Raises:
        UserError: The inputs of the step have changed, but the folder of its output still exists;
            or its output was made again by something else.
    """
    finished = finished_step(step)
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
    output = output_folder(step.words)
    if output is not None and not Path(output).exists():
        return False
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

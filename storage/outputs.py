"""Checks of the outputs of a command before its work, which can take hours."""

import dataclasses
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from clipnav.storage import UnwritableError, remove_abandoned, temporary_path
from clipnav.storage.errors import UserError
from clipnav.storage.locks import exclusive_lock

CONFIG = "config.json"
# Files of a run, as `clipnav.training.checkpoints`, `clipnav.vl_tasks.clip_vil_p`,
# `clipnav.vl_tasks.reliability` and `clipnav.vl_tasks.vqa` write.
RUN_FILES = (CONFIG, "model.safetensors", "trainer.pt", "vocabulary.json", "metrics.jsonl")
RUN_FILES += ("results.json", "trackers.json", "bert.json", "tokenizer.json", "trunk.json")
RUN_FILES += ("answers.json",)
RUN_FILES += ("selector.json", "parts.json", "predictions_val.json", "predictions_test.json")


def check_outputs(
    settings: Any, outputs: Mapping[str, tuple[str, ...]], inputs: Iterable[Path] = ()
) -> None:
    """Check that the outputs of a command can be written and replace nothing that it reads.

    Args:
        outputs: Suffixes of an output file by name of the setting; () for a folder. Outputs that
            are None are not written.
    """
    known = (*_inputs(settings, outputs), *inputs)
    flags: dict[Path, str] = {path.resolve(): "an input" for path in known}
    for name, suffixes in outputs.items():
        path = getattr(settings, name)
        if path is None:
            continue
        flag = f"--{name.replace('_', '-')}"
        problem = _obstacle(path, suffixes)
        if suffixes and problem is None:
            if path.resolve() in flags:
                problem = f"is also {flags[path.resolve()]}; name another file"
            elif path.name in RUN_FILES and (path.parent / CONFIG).is_file():
                problem = f"is a file of the run {path.parent}; name another file"
        if problem:
            raise UserError(f"{flag} {path}: {problem}")
        flags[path.resolve()] = flag


def folder_name(folder: str | Path) -> str:
    """Return the name of a folder, also of "." and "..", to name its outputs after it."""
    return os.path.basename(os.path.abspath(folder))


def check_new(path: Path, flag: str = "--output") -> None:
    """Check that nothing exists at the path of an output, except an empty folder."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f"{flag} {path}: already exists; name another one, or delete it")


@contextmanager
def new_folder(path: Path, flag: str = "--output") -> Iterator[Path]:
    """Yield a folder to write to, and move it to `path` when the block ends.

    If the block fails or the process is killed, there is nothing at `path`. While one process
    writes the folder, others that want to write it are refused.
    """
    check_new(path, flag)
    path = path.resolve()
    with suppress(FileNotFoundError):
        path.rmdir()  # an empty folder, which would contain its lock
    with exclusive_lock(path):
        check_new(path, flag)  # another process may have written it in the meantime
        remove_abandoned(path.parent)
        beside = temporary_path(path)
        beside.mkdir()
        try:
            yield beside
            beside.rename(path)
        except (UnwritableError, UserError) as error:
            error.args = (str(error).replace(str(beside), str(path)),)
            raise
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _inputs(settings: Any, outputs: Mapping[str, object]) -> Iterator[Path]:
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if item.name in outputs:
            continue
        if dataclasses.is_dataclass(value):
            yield from _inputs(value, {})
        yield from (
            one
            for one in (value if isinstance(value, tuple) else (value,))
            if isinstance(one, Path)
        )


def _obstacle(path: Path, suffixes: tuple[str, ...]) -> str | None:
    """Return why an output cannot be written, with the remedy; None if it can."""
    if suffixes and path.suffix.lower() not in suffixes:
        return f"choose a name that ends in {' or '.join(suffixes)}"
    if suffixes and path.is_dir():
        return "is a folder; name a file"
    if not suffixes and path.is_file():
        return "is a file; name a folder"
    if not suffixes and (path / CONFIG).is_file():
        return "is a run; name another folder"
    folder = path if path.is_dir() else path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        return f"{folder} is a file; name a folder that exists or can be created"
    if not os.access(folder, os.W_OK):
        return f"writing in {folder} is not permitted; change its permissions, or name another path"
    return None

"""Runs in repositories of Hugging Face: copies without anything that runs code, up and down.

A repository contains the files of a run that evaluation reads, safetensors and JSON, and a model
card. The training state (`trainer.pt`) stays where the run was trained. Nothing else is downloaded,
whatever a repository contains.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from clipnav.storage import write_text
from clipnav.storage.errors import UserError, in_one_line
from clipnav.storage.json_files import read_json_object
from clipnav.storage.outputs import CONFIG, RUN_FILES, folder_name
from clipnav.storage.tensor_files import write_tensors

SCHEME, FOLDER_SCHEME = "hf:", "file:"
CARD, MODEL = "README.md", "model.safetensors"
_FILES = (CARD, *(name for name in RUN_FILES if name not in ("trainer.pt", "trackers.json")))
_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*(@\w[\w./-]*)?")
_HINT = "name the folder of a run"
# Settings that name other runs, without which a run cannot be loaded.
_NEEDED = ("language_representation", "visual_representation")
# Settings that are meaningless elsewhere.
_LOCAL = ("output", "resume", "config")


def copy_run(run: Path, folder: Path) -> None:
    """Copy the files of a run that evaluation reads into a new folder.

    In the settings, absolute paths, which can contain names of people, become file names.

    Raises:
        FileNotFoundError: The folder does not contain a run with weights.
        UserError: The run needs another one.
    """
    settings = read_json_object(run / CONFIG, _HINT)
    if not (run / MODEL).is_file():
        raise FileNotFoundError(f"{run / MODEL}: no such file; name a run that has saved weights")
    for name in _NEEDED:
        if settings.get(name):
            raise UserError(f"{run}: cannot be used without the run {settings[name]} ({name})")
    for name in _FILES:
        if (run / name).is_file() and name != CONFIG:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(run / name, folder / name)
    settings |= {name: None for name in _LOCAL if name in settings}
    write_text(folder / CONFIG, json.dumps(_without_folders(settings), indent=2) + "\n")


def halve_weights(run: Path) -> None:
    """Round the weights of a copied run to float16, which halves their file."""
    path = run / MODEL
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
        weights = {name: file.get_tensor(name) for name in file.keys()}
    for name, weight in weights.items():
        if weight.dtype == np.float32:
            with np.errstate(over="ignore"):
                weights[name] = weight.astype(np.float16)
            if np.isfinite(weight).all() and not np.isfinite(weights[name]).all():
                raise UserError(f"{path}: {name} is too large for float16; keep float32")
    write_tensors(path, save(weights, metadata))


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_folders(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_folders(one) for one in value]
    is_absolute = isinstance(value, str) and re.match(r"/|[A-Za-z]:[/\\]", value)
    return re.split(r"[/\\]", value)[-1] if is_absolute else value


def push_folder(folder: Path, name: str, *, private: bool, message: str) -> str:
    """Upload the files of a copied run to a repository, which is created; return its address."""
    from huggingface_hub import HfApi

    repository, _ = _repository(name)
    with _hub_errors(name, "run `hf auth login` with a token that may write, or set HF_TOKEN"):
        api = HfApi(library_name="clipnav")
        api.create_repo(repository, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message=message,
            allow_patterns=list(_FILES),
        )
    return str(commit.commit_url)


def local_run(address: str) -> Path:
    """Return the folder of a run in a repository, `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`.

    It is in the cache of Hugging Face, and is downloaded if it is not there or has changed.
    """
    from huggingface_hub import snapshot_download

    repository, revision = _repository(address)
    with _hub_errors(address, "check the name; private repositories need `hf auth login`"):
        folder = snapshot_download(repository, revision=revision, allow_patterns=list(_FILES))
    run = Path(folder)
    if not (run / CONFIG).is_file() or not (run / MODEL).is_file():
        raise FileNotFoundError(
            f"{address}: has no {CONFIG} and {MODEL}; name a run of clipnav push"
        )
    return run


def check_repository(name: str) -> None:
    """Check that a name is that of a repository, before the work that precedes an upload."""
    _repository(name)


def run_name(address: str) -> str:
    """Return the name of a run, for its folder, from the address of a repository or folder."""
    if address.startswith(FOLDER_SCHEME):
        return folder_name(address.removeprefix(FOLDER_SCHEME))
    return _repository(address)[0].partition("/")[2]


def _repository(name: str) -> tuple[str, str | None]:
    """Return repository and revision of an address, with or without its scheme."""
    plain = name.removeprefix(SCHEME)
    if not _NAME.fullmatch(plain):
        raise UserError(f"{name}: not a repository; write OWNER/NAME or {SCHEME}OWNER/NAME")
    repository, _, revision = plain.partition("@")
    return repository, revision or None


@contextmanager
def _hub_errors(name: str, hint: str) -> Iterator[None]:
    """Convert any exception of huggingface_hub into an error of one line with a remedy."""
    try:
        yield
    except Exception as error:  # its HTTP client, and so their types, depend on its version
        raise ConnectionError(f"{name}: {in_one_line(error)}; {hint}") from error

"""Runs in repositories of Hugging Face: copies without anything that runs code, up and down.

A repository contains the files of a run that evaluation reads, safetensors and JSON, and a model
card. The training state (`trainer.pt`) stays where the run was trained. Nothing else is downloaded,
whatever a repository contains.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from clipnav.storage import (
    UnwritableError,
    atomic_write,
    file_sha256,
    open_regular,
    unwritable_reason,
    write_text,
)
from clipnav.storage.errors import UserError, in_one_line
from clipnav.storage.hugging_face import is_reachable
from clipnav.storage.json_files import MOST_BYTES, parse_json
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
# The folders of an absolute path: from its root, which is not the "//" of a URL, to its last slash.
_FOLDERS = re.compile(r"(?<![\w./\\~-])(?:file:/*|[A-Za-z]:|~\w*)?[/\\](?![/\s]|$)(?:.*[/\\])?")
_DIGEST = re.compile(r"^\| Weights \| SHA-256 ([0-9a-f]{64}) \|$", re.MULTILINE)
_CHUNK = 1 << 20


def copy_run(run: Path, folder: Path, cache: Path | None = None) -> None:
    """Copy the files of a run that evaluation reads into a folder.

    In the settings, absolute paths, which can contain names of people, become file names.

    Args:
        cache: Folder of the repository in the cache of Hugging Face, where files are links.

    Raises:
        FileNotFoundError: The folder does not contain a run with weights.
        UserError: The run needs another one, or a file is a link or not a regular file.
    """
    files = {name: run / name for name in _FILES if os.path.lexists(run / name)}
    for name, path in files.items():
        if cache is not None and path.resolve().is_relative_to(cache.resolve()):
            files[name] = path.resolve()
        open_regular(files[name]).close()  # before anything is copied
    if CONFIG not in files:
        raise FileNotFoundError(f"{run / CONFIG}: missing; {_HINT}")
    if MODEL not in files:
        raise FileNotFoundError(f"{run / MODEL}: no such file; name a run that has saved weights")
    with open_regular(files.pop(CONFIG)) as file:
        settings = parse_json(file.read(MOST_BYTES), str(run / CONFIG), _HINT, any_number=True)
    if not isinstance(settings, dict):
        raise UserError(f"{run / CONFIG}: not a JSON object; {_HINT}")
    for name in _NEEDED:
        if settings.get(name):
            raise UserError(f"{run}: cannot be used without the run {settings[name]} ({name})")
    for name, path in files.items():
        with atomic_write(folder / name, to_disk=True) as beside, beside.open("wb") as copy:
            copy.writelines(_chunks(path))
    settings |= {name: None for name in _LOCAL if name in settings}
    write_text(folder / CONFIG, json.dumps(_without_folders(settings), indent=2) + "\n")


def _chunks(path: Path) -> Iterator[bytes]:
    """Yield the content of a regular file; errors of its disk name it, not the copy."""
    with open_regular(path) as file:
        try:
            while chunk := file.read(_CHUNK):
                yield chunk
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


def pull_run(address: str, folder: Path) -> None:
    """Copy a run from a folder, `file:FOLDER`, or a repository; see `copy_run`, `local_run`."""
    if address.startswith(FOLDER_SCHEME):
        copy_run(Path(address.removeprefix(FOLDER_SCHEME)), folder)
    else:
        snapshot = _snapshot(address)
        copy_run(snapshot, folder, snapshot.parents[1])
    _check_digest(folder, address)


def _check_digest(run: Path, address: str) -> None:
    """Check the weights against the SHA-256 in the model card, if there is one."""
    card = run / CARD
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    expected, digest = _DIGEST.search(text), file_sha256(run / MODEL)
    if expected and digest != expected[1]:
        raise UserError(
            f"{address}: the SHA-256 of {MODEL} is {digest}, but its model card says "
            f"{expected[1]}; download it again, or ask its publisher to push it again"
        )


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
    return without_folders(value) if isinstance(value, str) else value


def without_folders(text: str) -> str:
    """Return a text without the folders of the absolute paths in it."""
    return _FOLDERS.sub("", text)


def push_folder(folder: Path, name: str, *, private: bool, message: str) -> str:
    """Upload the files of a copied run to a repository, which is created; return its address."""
    from huggingface_hub import HfApi

    repository, _ = _repository(name)
    hint = "run `hf auth login` with a token that may write, or set HF_TOKEN"
    with _hub_errors(name, hint, f"push to a folder, {FOLDER_SCHEME}FOLDER, and upload it later"):
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
    run = _snapshot(address)
    _check_digest(run, address)
    return run


def _snapshot(address: str) -> Path:
    from huggingface_hub import snapshot_download

    repository, revision = _repository(address)
    hint = "check the name; private repositories need `hf auth login`"
    with _hub_errors(
        address,
        hint,
        f"pull it on a machine with a network and copy the folder, then name that folder, or "
        f"{FOLDER_SCHEME}FOLDER for clipnav pull",
    ):
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
def _hub_errors(name: str, hint: str, offline_hint: str) -> Iterator[None]:
    """Convert any exception of huggingface_hub into an error of one line with a remedy."""
    from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE, HF_HUB_OFFLINE

    try:
        yield
    except Exception as error:  # its HTTP client, and so their types, depend on its version
        cache = Path(HF_HUB_CACHE)
        if reason := unwritable_reason(error, cache):
            raise UnwritableError(
                f"{cache}: cannot be written ({reason}); make room, or set HF_HUB_CACHE"
            ) from error
        if HF_HUB_OFFLINE:
            raise ConnectionError(f"{name}: HF_HUB_OFFLINE is set; unset it") from error
        if not is_reachable(ENDPOINT):
            raise ConnectionError(f"{name}: {ENDPOINT} is not reachable; {offline_hint}") from error
        raise ConnectionError(f"{name}: {in_one_line(error)}; {hint}") from error

"""Demonstrations: labelled walks on disk, in parts that are written once."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from clipnav.storage.errors import UserError
from clipnav.storage.tensor_files import write_tensors

FORMAT_VERSION = "1"
_KEY = "key"  # entry of a file's metadata


@dataclass(frozen=True, eq=False)
class Demonstration:
    """A walk, and the expert's action after each of its steps.

    Attributes:
        episode: Index of the episode in the split.
        rgb: (T, cells, C) float16 grid features.
        depth: (T, P, P) float16 depth pictures.
        previous: (T,) int8, one more than the previous action, 0 at the start.
        labels: (T,) int8 actions of the expert.
        progress: (T,) float32 share of the initial distance to the goal that has been covered.
    """

    episode: int
    rgb: np.ndarray
    depth: np.ndarray
    previous: np.ndarray
    labels: np.ndarray
    progress: np.ndarray

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.labels)


class DemonstrationStore:
    """A folder of demonstrations, a file for each part of a round.

    A file is complete or absent, so that an interrupted collection continues with the first missing
    part. Steps are read from disk when they are needed.
    """

    def __init__(self, folder: Path, key: Mapping[str, str]) -> None:
        self.folder = folder
        self._key = json.dumps({"format": FORMAT_VERSION, **key}, sort_keys=True)
        self._offsets: dict[str, np.ndarray] = {}
        self._episodes: dict[str, np.ndarray] = {}

    def has(self, name: str) -> bool:
        """Return whether a part has been written."""
        if not self._path(name).is_file():
            return False
        self._open(name)
        return True

    def write(self, name: str, walks: Sequence[Demonstration]) -> None:
        """Write a part as a whole."""
        offsets = np.cumsum([0, *map(len, walks)])
        arrays = {
            field: np.concatenate([getattr(walk, field) for walk in walks])
            for field in ("rgb", "depth", "previous", "labels", "progress")
        }
        arrays["offsets"] = offsets
        arrays["episodes"] = np.array([walk.episode for walk in walks])
        self.folder.mkdir(parents=True, exist_ok=True)
        write_tensors(self._path(name), save(arrays, {_KEY: self._key}))
        self._offsets.pop(name, None)

    def check_disk_space(self, names: Sequence[str]) -> None:
        """Check the disk space for the missing parts, of the mean size of the others."""
        paths = [self._path(name) for name in names]
        sizes = [path.stat().st_size for path in paths if path.is_file()]
        required = (len(paths) - len(sizes)) * sum(sizes) / len(sizes)
        free = shutil.disk_usage(self.folder).free
        if required > free:
            raise OSError(
                f"{self.folder}: the missing demonstrations require about {required / 1e9:.1f} GB, "
                f"but only {free / 1e9:.1f} GB are free; name a folder on a larger disk with "
                "--demonstrations, or collect fewer with --episodes-per-round"
            )

    def episodes(self, name: str) -> np.ndarray:
        """Return the indices (K,) of the episodes of a part."""
        self._open(name)
        return self._episodes[name]

    def lengths(self, name: str) -> np.ndarray:
        """Return the numbers of steps (K,) of the demonstrations of a part."""
        self._open(name)
        return np.diff(self._offsets[name])

    def read(self, name: str, row: int) -> Demonstration:
        """Return a demonstration of a part."""
        self._open(name)
        start, end = self._offsets[name][row : row + 2]
        with safe_open(self._path(name), framework="numpy") as file:
            parts = {
                field: file.get_slice(field)[int(start) : int(end)]
                for field in ("rgb", "depth", "previous", "labels", "progress")
            }
        return Demonstration(int(self._episodes[name][row]), **parts)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def _open(self, name: str) -> None:
        if name in self._offsets:
            return
        path = self._path(name)
        remedy = f"remove {self.folder}, and they are collected again, or name another folder"
        try:
            with safe_open(path, framework="numpy") as file:
                key = (file.metadata() or {}).get(_KEY)
                if key != self._key:
                    raise UserError(f"{path}: demonstrations of other settings; {remedy}")
                self._episodes[name] = file.get_tensor("episodes")
                self._offsets[name] = file.get_tensor("offsets")
        except SafetensorError as error:
            raise UserError(f"{path}: damaged ({error}); {remedy}") from error

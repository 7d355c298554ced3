"""Cache of grid features on disk: half-precision shards in a folder, read by memory mapping."""

import itertools
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np

from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import parse_json
from clipnav.storage.locks import waiting_lock
from clipnav.storage.tensor_files import header_bytes, read_header

FORMAT = "clipnav grids 1"
_HINT = "delete the file, and its images will be encoded again"
_DISABLE = "disable the cache with --grids.no-keep"
# A mapped file keeps a file descriptor open, and a process can usually open 1024.
_MOST_MAPPED = 256


class GridCache:
    """Grid features of images by key, in a folder of safetensors files.

    A shard contains `grids` (n, h, w, C) float16 and `mask` (n, h, w), which is 1 for grid cells of
    the image and 0 for padding; shards of a folder may differ in h and w. Shards are written
    atomically, so a run that was killed loses at most one shard.
    """

    def __init__(self, folder: Path, description: str, prefix: str = "") -> None:
        self.folder = folder
        self.description = description
        self._prefix = prefix
        self._rows: dict[str, tuple[int, int]] = {}  # shard and row of each key
        self._shards: list[tuple[Path, tuple[int, ...]]] = []  # file and shape of the grids
        self._map = lru_cache(_MOST_MAPPED)(_map_shard)
        self._next = 0  # all shards with the prefix have lower numbers
        self._opened: set[Path] = set()
        self.refresh()

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def refresh(self) -> None:
        """Open the shards that other processes have written in the meantime."""
        for path in sorted(self.folder.glob("*.safetensors")):
            if path not in self._opened and not path.stem.endswith(".writing"):
                self._open(path)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock for filling the cache; wait for another holder and open its shards.

        Processes with different prefixes do not wait for each other.
        """
        with waiting_lock(self.folder / f"{self._prefix}pictures"):
            self.refresh()
            yield

    def add(self, keys: Sequence[str], grids: np.ndarray, mask: np.ndarray) -> None:
        """Write a shard.

        Args:
            mask: (n, h, w) bool.
        """
        with np.errstate(over="ignore"):
            halves = grids.astype("<f2", copy=False)
        if not np.isfinite(halves).all():
            raise UserError(f"{self.folder}: a feature is too large for float16; {_DISABLE}")
        self.folder.mkdir(parents=True, exist_ok=True)
        metadata = {
            "format": FORMAT,
            "description": self.description,
            "keys": json.dumps(list(keys)),
        }
        tensors = {"grids": ("F16", halves.shape), "mask": ("U8", mask.shape)}
        with waiting_lock(self.folder / f"{self._prefix}shard"):
            numbers = itertools.count(self._next)
            paths = (self.folder / f"{self._prefix}{n:05}.safetensors" for n in numbers)
            path = next(path for path in paths if not path.exists())
            with atomic_write(path) as beside, beside.open("wb") as file:
                file.write(header_bytes(tensors, metadata))
                halves.tofile(file)
                mask.astype(np.uint8).tofile(file)
            self._open(path)

    def check_disk_space(self, images: int, grids: np.ndarray, mask: np.ndarray) -> None:
        """Check that the disk has space for more images, estimated from some encoded ones.

        Args:
            grids: (n, h, w, C) of some of them.
        """
        bytes_per_image = (np.dtype(np.float16).itemsize * grids.size + mask.size) / len(grids)
        disk = next(path for path in (self.folder, *self.folder.parents) if path.is_dir())
        free = shutil.disk_usage(disk).free
        required = images * bytes_per_image
        if required > free:
            raise OSError(
                f"{self.folder}: grid features of {images} images require about "
                f"{required / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free; set "
                f"CLIPNAV_CACHE to a folder on a larger disk, or {_DISABLE}"
            )

    def read(self, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Read the grids of B images.

        Returns:
            Grids (B, h, w, C) float16 and masks (B, h, w) bool, padded to the largest image.
        """
        located = [self._rows[key] for key in keys]
        shapes = [self._shards[shard][1] for shard, _ in located]
        height, width = (max(shape[axis] for shape in shapes) for axis in (1, 2))
        padded = np.zeros((len(keys), height, width, shapes[0][3]), np.float16)
        mask = np.zeros((len(keys), height, width), bool)
        # Shard by shard, so that each is mapped once even if the keys are in more than can be kept.
        for number in sorted(range(len(keys)), key=located.__getitem__):
            shard, row = located[number]
            _, grids, shard_mask = self._map(self._shards[shard][0])
            h, w = grids.shape[1:3]
            padded[number, :h, :w] = grids[row]
            mask[number, :h, :w] = shard_mask[row]
        return padded, mask

    def _open(self, path: Path) -> None:
        try:
            metadata, grids, mask = self._map(path)
            keys = parse_json(metadata["keys"], "keys", "")
            file_format, description = metadata["format"], metadata["description"]
            if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
                raise UserError("its keys are not strings")
            if grids.ndim != 4 or grids.shape[:3] != mask.shape or len(keys) != len(grids):
                raise UserError("keys, grids and mask differ in length or shape")
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: damaged ({error!r}); {_HINT}") from error
        if (file_format, description) != (FORMAT, self.description):
            raise UserError(
                f"{path}: contains '{description}' ({file_format}), not '{self.description}'; "
                f"{_HINT}"
            )
        numbered = re.fullmatch(re.escape(self._prefix) + r"(\d{5,})", path.stem)
        if numbered:
            self._next = max(self._next, int(numbered[1]) + 1)
        self._rows |= {key: (len(self._shards), row) for row, key in enumerate(keys)}
        self._shards.append((path, grids.shape))
        self._opened.add(path)


def _map_shard(path: Path) -> tuple[dict[str, str], np.ndarray, np.ndarray]:
    """Map a shard into memory.

    Returns:
        Its metadata, grids (n, h, w, C) float16 and mask (n, h, w) uint8.
    """
    header, start = read_header(path)
    data = np.asarray(np.memmap(path, np.uint8, "r", start))

    def tensor(name: str) -> np.ndarray:
        entry = header[name]
        dtype = {"F16": np.float16, "U8": np.uint8}[entry["dtype"]]
        return data[slice(*entry["data_offsets"])].view(dtype).reshape(entry["shape"])

    return header["__metadata__"], tensor("grids"), tensor("mask")

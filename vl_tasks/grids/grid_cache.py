"""Grids on disk: half-precision shards in one folder, read through memory maps."""

import itertools
import json
import math
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from storage import atomic_write
from storage.json_files import parse_json
from storage.locks import sole_maker
from storage.tensor_files import header_bytes, read_header

FORMAT = "clipnav grids 1"
_REMEDY = "delete it, and its images will be encoded again"
_WITHOUT = "disable the cache with --grids.no-keep"


class GridCache:
    """Grids of pictures by key, in a folder of safetensors files.

    A shard holds `grids` (n, h, w, C) float16 and `mask` (n, h, w), whose places are 1 where a
    picture is; shards of one folder may differ in h and w. Shards are written whole, so whatever a
    run has encoded before it was killed is there for the next one.

    Args:
        folder: Where the shards lie; it is made when the first one is written.
        description: What the grids depend on; a shard with another one is refused.
        prefix: Of the names of shards that are written, so that several processes may each fill a
            part of one cache.

    Raises:
        ValueError: A shard is damaged, or of another description; names the file.
    """

    def __init__(self, folder: Path, description: str, prefix: str = "") -> None:
        self.folder = folder
        self.description = description
        self._prefix = prefix
        self._places: dict[str, tuple[int, int]] = {}
        self._shards: list[tuple[np.memmap, np.memmap]] = []
        self._next = 0  # no shard with the prefix has this number or a higher one
        self._seen: set[Path] = set()
        self.look_again()

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def look_again(self) -> None:
        """Take in shards that other processes have written since.

        Raises:
            ValueError: As for the constructor.
        """
        for path in sorted(self.folder.glob("*.safetensors")):
            if path not in self._seen and not path.stem.endswith(".writing"):
                self._open(path)

    @contextmanager
    def only_writer(self) -> Iterator[None]:
        """Fill the cache while no other process does; waits for one, and takes in what it wrote.

        Processes with different prefixes do not wait for each other.
        """
        with sole_maker(self.folder / f"{self._prefix}pictures"):
            self.look_again()
            yield

    def add(self, keys: Sequence[str], grids: np.ndarray, mask: np.ndarray) -> None:
        """Write a shard.

        Args:
            keys: Of n pictures, which are not in the cache yet.
            grids: (n, h, w, C).
            mask: (n, h, w) bool.

        Raises:
            ValueError: A feature does not fit into float16.
        """
        with np.errstate(over="ignore"):
            halves = grids.astype("<f2")
        if not np.isfinite(halves).all():
            raise ValueError(f"{self.folder}: a feature is too large for float16; {_WITHOUT}")
        self.folder.mkdir(parents=True, exist_ok=True)
        metadata = {
            "format": FORMAT,
            "description": self.description,
            "keys": json.dumps(list(keys)),
        }
        tensors = {"grids": ("F16", halves.shape), "mask": ("U8", mask.shape)}
        with sole_maker(self.folder / f"{self._prefix}shard"):
            path = self._next_path()
            with atomic_write(path) as beside, beside.open("wb") as file:
                file.write(header_bytes(tensors, metadata))
                halves.tofile(file)
                mask.astype(np.uint8).tofile(file)
            self._open(path)

    def check_room(self, pictures: int, grids: np.ndarray, mask: np.ndarray) -> None:
        """Make sure that the disk has room for so many pictures like some that are encoded.

        Args:
            pictures: How many are to be added.
            grids: (n, h, w, C) of some of them.
            mask: (n, h, w).

        Raises:
            OSError: It has not; says how much is needed.
        """
        each = (np.dtype(np.float16).itemsize * grids.size + mask.size) / len(grids)
        disk = next(path for path in (self.folder, *self.folder.parents) if path.is_dir())
        free = shutil.disk_usage(disk).free
        needed = pictures * each
        if needed > free:
            raise OSError(
                f"{self.folder}: grids of {pictures} pictures take about {needed / 1e9:.1f} GB, "
                f"but {free / 1e9:.1f} GB are free; name a folder with more room in "
                f"CLIPNAV_CACHE, or {_WITHOUT}"
            )

    def read(self, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Grids of B pictures.

        Returns:
            (B, h, w, C) float16 and (B, h, w) bool, as high and wide as the largest of them.

        Raises:
            KeyError: One is not in the cache.
        """
        rows = [(self._shards[shard], row) for shard, row in (self._places[key] for key in keys)]
        height, width = (max(grids.shape[axis] for (grids, _), _ in rows) for axis in (1, 2))
        found = np.zeros((len(rows), height, width, rows[0][0][0].shape[3]), np.float16)
        mask = np.zeros((len(rows), height, width), bool)
        for number, ((grids, real), row) in enumerate(rows):
            h, w = grids.shape[1:3]
            found[number, :h, :w] = grids[row]
            mask[number, :h, :w] = real[row]
        return found, mask

    def _next_path(self) -> Path:
        """The next name of a shard that nobody has taken."""
        names = (f"{self._prefix}{number:05}.safetensors" for number in itertools.count(self._next))
        return next(path for name in names if not (path := self.folder / name).exists())

    def _open(self, path: Path) -> None:
        try:
            header, start = read_header(path)
            metadata = header["__metadata__"]
            keys = parse_json(metadata["keys"], "keys", "")
            found = metadata["format"], metadata["description"]
            grids, mask = (_map(path, header[name], start) for name in ("grids", "mask"))
            if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
                raise ValueError("its keys are no texts")
            if grids.ndim != 4 or grids.shape[:3] != mask.shape or len(keys) != len(grids):
                raise ValueError("keys, grids and mask do not fit each other")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: damaged ({error!r}); {_REMEDY}") from error
        if found != (FORMAT, self.description):
            raise ValueError(
                f"{path}: holds '{found[1]}' ({found[0]}), not '{self.description}'; {_REMEDY}"
            )
        numbered = re.fullmatch(re.escape(self._prefix) + r"(\d{5,})", path.stem)
        if numbered:
            self._next = max(self._next, int(numbered[1]) + 1)
        self._places |= {key: (len(self._shards), row) for row, key in enumerate(keys)}
        self._shards.append((grids, mask))
        self._seen.add(path)


def _map(path: Path, entry: dict, start: int) -> np.memmap:
    dtype = {"F16": np.float16, "U8": np.uint8}[entry["dtype"]]
    first, end = entry["data_offsets"]
    if end - first != math.prod(entry["shape"]) * np.dtype(dtype).itemsize:
        raise ValueError("sizes do not fit")
    return np.memmap(path, dtype, "r", start + first, tuple(entry["shape"]))

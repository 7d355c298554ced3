"""ObjectStore: features of the objects that are visible from each viewpoint, in one file.

The file is a safetensors file with four tensors: `starts` (V + 1,) int64, where the rows starts[v]
to starts[v + 1] are the objects of viewpoint v; `features` (N, D) float16; `directions` (N, 2)
float32, heading (clockwise from +y) and elevation of the box of each object in radians; and `sizes`
(N, 2) float32, width and height of the box as fractions of its view. The header records the keys of
the viewpoints, and id and name of each object.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from clipnav.storage import atomic_write, cache_dir
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.extras import import_extra
from clipnav.storage.features.isolated_files import IsolatedFile
from clipnav.storage.features.store_file import feature_key
from clipnav.storage.json_files import parse_json
from clipnav.storage.locks import waiting_lock
from clipnav.storage.tensor_files import check_content, read_header, write_streamed

FORMAT_VERSION = 1
HINT = "extract the objects again with clipnav extract-object-features"
_TENSORS = {"starts": "<i8", "directions": "<f4", "sizes": "<f4", "features": "<f2"}
_SAFETENSORS = {"<i8": "I64", "<f4": "F32", "<f2": "F16"}
_HDF5 = (".h5", ".hdf5")
_VIEW = (640.0, 480.0)  # pixels of the view of a box in REVERIE's files
_SOON_VIEW = (600.0, 600.0)
# Widths of features that class scores follow: ImageNet's 1,000, Visual Genome's 1,600 and one.
_WITH_SCORES = {width + 1000: width for width in (512, 768, 1024, 2048)} | {2048 + 1601: 2048}


class Objects(NamedTuple):
    """The n objects that are visible from a viewpoint.

    Attributes:
        ids: Ids of the objects, unique at the viewpoint.
        names: Names of the objects, "" where unknown.
        features: (n, D).
        directions: (n, 2) heading and elevation of the boxes in radians, absolute.
        sizes: (n, 2) width and height of the boxes as fractions of a view.
    """

    ids: Sequence[str]
    names: Sequence[str]
    features: np.ndarray
    directions: np.ndarray
    sizes: np.ndarray


class ObjectStore:
    """Features of N objects at V viewpoints, mapped into memory; `open_objects` opens one.

    Attributes:
        path: The file.
        keys: `scan_viewpoint` of the V viewpoints.
        starts: (V + 1,) int64 first row of the objects of each viewpoint.
        ids: (N,) object array of ids, which name an object in its building.
        names: (N,) object array of names, "" where unknown.
        features: (N, D) float16, read-only.
        directions: (N, 2) float32 heading and elevation in radians.
        sizes: (N, 2) float32 width and height as fractions of a view.
        metadata: Encoder and so on.
    """

    def __init__(self, path: Path) -> None:
        """Map a file.

        Raises:
            FileNotFoundError: There is no such file.
            UserError: The file is damaged.
        """
        self.path = path
        header, data_start = read_header(path)
        check_content(path, HINT)  # all numbers are read below, too
        texts = header.pop("__metadata__", {})
        metadata = {name: parse_json(text, f"{path}: {name}", HINT) for name, text in texts.items()}
        if metadata.get("object_format") != FORMAT_VERSION or not _TENSORS.keys() <= header.keys():
            raise UserError(
                f"{path}: not a store of objects of format {FORMAT_VERSION}, but of "
                f"{truncate(sorted(header), 100)}; {HINT}"
            )
        self.starts, self.directions, self.sizes, self.features = (
            _mapped(path, data_start, header[name], kind) for name, kind in _TENSORS.items()
        )
        self.keys: list[str] = metadata.pop("keys")
        self.ids = np.array(metadata.pop("ids"), dtype=object)
        self.names = np.array(metadata.pop("names"), dtype=object)
        self.metadata = metadata
        self._rows = {key: row for row, key in enumerate(self.keys)}
        starts, count = self.starts, len(self.features)
        fits = (
            len(starts) == len(self.keys) + 1
            and starts[0] == 0
            and starts[-1] == count
            and (np.diff(starts) >= 0).all()
            and len(self.ids) == len(self.names) == len(self.directions) == len(self.sizes) == count
        )
        if not fits:
            raise UserError(f"{self.path}: its tensors do not fit each other; {HINT}")
        finite = np.isfinite(self.features).all(1) & np.isfinite(self.directions).all(1)
        wrong = np.flatnonzero(~(finite & ((self.sizes >= 0) & (self.sizes <= 1)).all(1)))
        if wrong.size:
            key = self.keys[int(np.searchsorted(starts, wrong[0], side="right")) - 1]
            raise UserError(
                f"{self.path}: object {self.ids[wrong[0]]} of {key} has a number that is not finite"
                f", or a box larger than its view; {HINT}"
            )

    @property
    def width(self) -> int:
        """D, the numbers per object."""
        return self.features.shape[1]

    @cached_property
    def most(self) -> int:
        """Largest number of objects at a viewpoint."""
        return int(np.diff(self.starts).max(initial=0))

    def rows(self, scan: str, viewpoint: str) -> range:
        """Return the rows of the objects of a viewpoint; none where the file lacks it."""
        row = self._rows.get(feature_key(scan, viewpoint))
        return range(0) if row is None else range(*self.starts[row : row + 2].tolist())

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectStore, (self.path,)

    def __repr__(self) -> str:
        return f"ObjectStore({str(self.path)!r}, objects={len(self.ids)}, width={self.width})"


def _mapped(path: Path, data_start: int, entry: dict[str, Any], kind: str) -> np.ndarray:
    if entry["dtype"] != _SAFETENSORS[kind]:
        raise UserError(f"{path}: a tensor is {entry['dtype']}, not {_SAFETENSORS[kind]}; {HINT}")
    shape = tuple(entry["shape"])
    if 0 in shape:
        return np.zeros(shape, kind)
    start = data_start + entry["data_offsets"][0]
    return np.asarray(np.memmap(path, kind, "r", start, shape))


def open_objects(path: str | Path) -> ObjectStore:
    """Open a store of objects, or an HDF5 file of REVERIE or SOON, which is converted in the cache.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The file is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file of objects; make it with clipnav extract-object-features"
        )
    if path.suffix not in _HDF5:
        return ObjectStore(path)
    stat = path.stat()
    identity = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    store = cache_dir() / "features" / f"{path.stem}-{digest}.objects.safetensors"
    with waiting_lock(store):
        if not store.is_file():
            write_objects(store, *_read_hdf5(path))
    return ObjectStore(store)


def write_objects(
    path: str | Path, keys: Sequence[str], viewpoints: Iterable[Objects], metadata: dict[str, Any]
) -> None:
    """Write a store, or REVERIE's layout (.hdf5); an existing file is replaced at the end.

    Args:
        keys: `scan_viewpoint` of each viewpoint.
        viewpoints: Objects of each viewpoint.
        metadata: Further values to record; JSON must be able to represent them.

    Raises:
        UserError: Features are not finite in float16 or of different widths.
    """
    path = Path(path)
    parts = list(viewpoints)
    for key, part in zip(keys, parts, strict=True):
        if len(set(part.ids)) < len(part.ids):
            raise UserError(f"{path}: {key} has an object twice; {HINT}")
        with np.errstate(over="ignore"):
            if not np.isfinite(part.features.astype("<f2")).all():
                raise UserError(f"{path}: features of {key} are not all finite in float16")
    if path.suffix in _HDF5:
        _write_hdf5(path, keys, parts, metadata)
        return
    widths = {part.features.shape[1] for part in parts if len(part.ids)}
    if len(widths) > 1:
        raise UserError(f"{path}: features have different widths {sorted(widths)}")
    width = max(widths, default=0)
    filled = [part for part in parts if len(part.ids)]
    arrays = {
        "starts": np.cumsum([0, *(len(part.ids) for part in parts)]),
        "directions": np.concatenate([np.zeros((0, 2)), *(part.directions for part in filled)]),
        "sizes": np.concatenate([np.zeros((0, 2)), *(part.sizes for part in filled)]),
        "features": np.concatenate([np.zeros((0, width)), *(part.features for part in filled)]),
    }
    recorded = {
        **metadata,
        "object_format": FORMAT_VERSION,
        "keys": list(keys),
        "ids": [one for part in parts for one in part.ids],
        "names": [one for part in parts for one in part.names],
    }
    shapes = {n: (_SAFETENSORS[kind], arrays[n].shape) for n, kind in _TENSORS.items()}
    texts = {name: json.dumps(value) for name, value in recorded.items()}
    with atomic_write(path) as beside, beside.open("wb") as file:
        parts_of_file = (
            np.ascontiguousarray(arrays[name], kind).tobytes() for name, kind in _TENSORS.items()
        )
        write_streamed(file, shapes, texts, parts_of_file)


def _write_hdf5(
    path: Path, keys: Sequence[str], parts: Sequence[Objects], metadata: dict[str, Any]
) -> None:
    h5py = import_extra("h5py", "formats", f"{path}: writing HDF5")
    with atomic_write(path) as beside, h5py.File(beside, "w") as file:
        file.attrs["metadata"] = json.dumps(metadata)
        for key, part in zip(keys, parts, strict=True):
            if len(part.ids):  # REVERIE has no empty entries
                data = file.create_dataset(key, data=np.asarray(part.features, np.float32))
                data.attrs["directions"] = np.asarray(part.directions, np.float32)
                data.attrs["sizes"] = np.asarray(part.sizes, np.float32) * np.array(_VIEW)
                data.attrs["obj_ids"] = np.array(list(part.ids), dtype="S")


def _read_hdf5(path: Path) -> tuple[list[str], list[Objects], dict[str, Any]]:
    """Read a file of REVERIE (640 x 480 pixels) or SOON (600 x 600), without class scores."""
    hint = "download the file again"
    file = IsolatedFile(path, "HDF5 objects", hint)
    keys, parts = file.keys, []
    for key, (array, message) in zip(keys, file.values(), strict=True):
        ids, is_soon = message["ids"], message["boxes"] == "bboxes"
        boxes, features = array[:, 2:6].astype(float), array[:, 6:]
        sizes = boxes[:, 2:] - boxes[:, :2] if is_soon else boxes[:, :2]
        sizes = sizes / (_SOON_VIEW if is_soon else _VIEW)
        width = _WITH_SCORES.get(features.shape[1], features.shape[1])
        if len(set(ids)) < len(ids):
            raise UserError(f"{path}: {truncate(key)} has an object twice; {hint}")
        if not np.isfinite(array).all() or (sizes < 0).any() or (sizes > 1 + 1e-6).any():
            raise UserError(
                f"{path}: {truncate(key)} has a number that is not finite, or a box that is not "
                f"within its view; {hint}"
            )
        names = [""] * len(ids)
        parts.append(Objects(ids, names, features[:, :width], array[:, :2], np.minimum(sizes, 1.0)))
    return keys, parts, {"source": path.name, "encoder": f"unknown, of {path.name}"}

"""Feature files of other projects: read row by row, and written.

TSV: lines of scanId, viewpointId, image_w, image_h, vfov and base64 of float32 (36, D), as written
by MatterSim's `precompute_img_features.py` and CLIP-ViL's `precomute_imagenet_views.py`.
HDF5: a data set (36, >= D) named `scan_viewpoint` for each viewpoint, as read by HAMT and DUET; the
last 1000 columns may be ImageNet logits. LMDB: under the same keys, either arrays encoded by
msgpack-numpy or raw numbers. In all of them the rows are in MatterSim's view order (its
`precompute_img_features.py` asserts it), but no file records that.
"""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError, shortened
from clipnav.storage.extras import import_extra
from clipnav.storage.features.foreign_formats import (
    FeatureRows,
    read_hdf5,
    read_lmdb,
    read_tsv,
)
from clipnav.storage.features.hdf5_writing import write_hdf5
from clipnav.storage.features.isolated_files import LMDB_METADATA
from clipnav.storage.features.store import FeatureStore
from clipnav.storage.features.store_file import FORMAT_FIELDS
from clipnav.storage.features.view_grid import NUM_VIEWS

_LMDB_BYTES = 1 << 40  # maximum size of a written file
_LOGITS = 1000
_WIDTHS = (512, 640, 768, 1024, 1280, 2048)  # feature widths that logits may follow
_ASSUMED_ORDER = "not recorded in the source; taken to be MatterSim's"


def read_foreign_features(path: Path, width: int | None = None) -> FeatureRows:
    """Read features in a format of another project, row by row.

    Args:
        path: A .tsv, .h5, .hdf5 or .lmdb file.
        width: D, the number of leading values of each view to read. By default all; but if the file
            is 1000 wider than 512, 640, 768, 1024, 1280 or 2048, the last 1000 are taken to be
            logits and skipped.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The format is unknown, or a record is damaged or does not fit; the message names
            it.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such feature file; check its name")
    keys, rows, metadata = _reader(path)(path)
    if not keys:
        raise UserError(f"{path}: contains no features; download it again, or create it again")
    if len(set(keys)) < len(keys):
        repeated = next(key for key, count in Counter(keys).items() if count > 1)
        raise UserError(
            f"{path}: contains features of {shortened(repeated)} twice; create it again"
        )
    first = next(rows)
    kept = width or _without_logits(first.shape[-1])
    recorded = {
        "encoder": f"unknown, of {path.name}",
        "source": path.name,
        "view_order_source": _ASSUMED_ORDER,
        **({"source_width": first.shape[-1]} if kept != first.shape[-1] else {}),
        **metadata,
    }
    return FeatureRows(keys, _cut(path, keys, first, rows, kept), recorded)


def write_features(
    path: str | Path,
    keys: Sequence[str],
    rows: Iterable[np.ndarray],
    metadata: Mapping[str, Any],
) -> None:
    """Write features in the format that a file's suffix names.

    Args:
        path: A .tsv, .h5, .hdf5, .lmdb or .safetensors file.
        keys: `scan_viewpoint` of each row.
        rows: Yields (36, D) for each key.
        metadata: Recorded if the format can record metadata.

    Raises:
        ModuleNotFoundError: LMDB is not installed.
        UserError: The format is unknown, the numbers of rows and keys differ, a feature is too
            large for the float16 of LMDB files and stores, or the metadata contain no valid image
            size for a TSV file.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        given = {k: v for k, v in metadata.items() if k not in FORMAT_FIELDS}
        FeatureStore.write(path, rows, keys, given)
        return
    writers: dict[str, Callable[[Path, Iterable[Any], Mapping[str, Any]], None]] = {
        ".tsv": _write_tsv,
        ".h5": write_hdf5,
        ".hdf5": write_hdf5,
        ".lmdb": _write_lmdb,
    }
    if path.suffix not in writers:
        raise UserError(f"{path}: unknown format; name a .safetensors, {', '.join(writers)} file")
    with atomic_write(path) as beside:
        writers[path.suffix](beside, zip(keys, rows, strict=True), metadata)


def _reader(path: Path) -> Callable[[Path], FeatureRows]:
    readers = {".tsv": read_tsv, ".h5": read_hdf5, ".hdf5": read_hdf5, ".lmdb": read_lmdb}
    if path.suffix not in readers:
        raise UserError(f"{path}: unknown format; name a .safetensors, {', '.join(readers)} file")
    return readers[path.suffix]


def _without_logits(width: int) -> int:
    return width - _LOGITS if width - _LOGITS in _WIDTHS else width


def _cut(
    path: Path, keys: list[str], first: np.ndarray, rows: Iterator[np.ndarray], width: int
) -> Iterator[np.ndarray]:
    def check(key: str, row: np.ndarray) -> np.ndarray:
        if row.ndim != 2 or len(row) != NUM_VIEWS or row.shape[1] < width:
            raise UserError(
                f"{path}: features of {key} have shape {row.shape}, not ({NUM_VIEWS}, {width}) or "
                "wider"
            )
        if row.shape != first.shape:
            raise UserError(
                f"{path}: features of {key} have shape {row.shape}, but those of {keys[0]} "
                f"{first.shape}; one file contains the features of one encoder"
            )
        kept = row[:, :width]
        if not np.isfinite(kept).all():
            raise UserError(
                f"{path}: features of {key} are not all finite; download the file again, or create "
                "it again"
            )
        return kept

    yield check(keys[0], first)
    for key, row in zip(keys[1:], rows, strict=True):
        yield check(key, row)


def _write_tsv(path: Path, items: Iterable[Any], metadata: Mapping[str, Any]) -> None:
    height, width, vfov = _camera(metadata)
    with path.open("wb") as file:
        for key, row in items:
            scan, _, viewpoint = key.rpartition("_")
            features = base64.b64encode(np.ascontiguousarray(row, "<f4").tobytes())
            head = f"{scan}\t{viewpoint}\t{width}\t{height}\t{vfov:g}\t"
            file.write(head.encode() + features + b"\n")


def _camera(metadata: Mapping[str, Any]) -> tuple[int, int, float]:
    """Return height and width of the views in pixels, and their vertical field of view in degrees.

    A store of another encoder can have any metadata, such as one number for the size of a square.
    """
    size = metadata.get("view_size", metadata.get("image_size", (480, 640)))
    vfov = metadata.get("vfov_degrees", 60)
    try:
        height, width = (size, size) if isinstance(size, int) else size
        return int(height), int(width), float(vfov)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"a TSV file contains the size of the images and their field of view, but the metadata "
            f"of these features have {shortened(size)} and {shortened(vfov)}; write another format"
        ) from error


def _write_lmdb(path: Path, items: Iterable[Any], metadata: Mapping[str, Any]) -> None:
    lmdb = import_extra("lmdb", "formats", f"{path}: writing LMDB")
    options: dict[str, Any] = {"subdir": False, "lock": False, "map_size": _LMDB_BYTES}
    with (
        lmdb.open(str(path), **options) as environment,
        environment.begin(write=True) as transaction,
    ):
        recorded = {**metadata, "dtype": "<f2"}
        transaction.put(LMDB_METADATA.encode(), json.dumps(recorded).encode())
        for key, row in items:
            with np.errstate(over="ignore"):
                half = np.asarray(row).astype("<f2")
            if (np.isinf(half) & np.isfinite(row)).any():
                raise UserError(
                    f"{path}: features of {shortened(key)} are too large for float16, the type of "
                    "an LMDB file; write .tsv or .hdf5"
                )
            transaction.put(key.encode(), half.tobytes())

"""Features of panoramas in other people's files, read row by row and written for them.

TSV: lines of scanId, viewpointId, image_w, image_h, vfov and base64 of float32 (36, D), as
MatterSim's `precompute_img_features.py` and CLIP-ViL's `precomute_imagenet_views.py` write them.
HDF5: a data set (36, >= D) named `scan_viewpoint` for each viewpoint, as HAMT and DUET read them;
the tail may be the 1000 logits of ImageNet. LMDB: under the same names either arrays in
msgpack-numpy's form or bare numbers. All of them keep the rows in MatterSim's order of views
(its `precompute_img_features.py` asserts it), none says so.
"""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from storage import atomic_write, cache_dir
from storage.features.foreign_formats import (
    LMDB_METADATA,
    FeatureRows,
    read_hdf5,
    read_lmdb,
    read_tsv,
)
from storage.features.hdf5_writing import write_hdf5
from storage.features.store import FeatureStore
from storage.features.view_grid import NUM_VIEWS
from storage.json_files import shortened
from storage.locks import sole_maker

_LMDB_BYTES = 1 << 40  # what a file may grow to at most
_LOGITS = 1000
_WIDTHS = (512, 640, 768, 1024, 1280, 2048)  # of encoders behind which logits may stand
_ASSUMED_ORDER = "not recorded in the source; taken to be MatterSim's"


def read_features(path: str | Path, width: int | None = None) -> FeatureRows:
    """Read features of any known format.

    Args:
        path: A .tsv, .h5, .hdf5, .lmdb or .safetensors file.
        width: D: the first so many numbers of each view. By default all, but for those that are
            1000 wider than an encoder of 512, 640, 768, 1024, 1280 or 2048: theirs are logits at
            the end, and are left off.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The format is unknown, or a record is damaged or does not fit; the message names
            it.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        store = FeatureStore.open(path, width)
        return FeatureRows(store.keys, _stored_rows(store), dict(store.metadata))
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file of features")
    keys, rows, metadata = _reader(path)(path)
    if not keys:
        raise ValueError(f"{path}: holds no features of any viewpoint")
    if len(set(keys)) < len(keys):
        twice = next(key for key, count in Counter(keys).items() if count > 1)
        raise ValueError(f"{path}: holds features of {shortened(twice)} twice; make it anew")
    first = next(rows)
    kept = width or _without_logits(first.shape[-1])
    described = {
        "encoder": f"unknown, of {path.name}",
        "source": path.name,
        "view_order_source": _ASSUMED_ORDER,
        **({"source_width": first.shape[-1]} if kept != first.shape[-1] else {}),
        **metadata,
    }
    return FeatureRows(keys, _cut(path, keys, first, rows, kept), described)


def cached_store(path: Path, width: int | None = None) -> Path:
    """The feature store of a file in another format, made in the cache when it is first asked for.

    Raises:
        ValueError: As `read_features`.
    """
    from tqdm import tqdm

    stat = path.stat()
    seen = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns} {width}"
    digest = hashlib.sha256(seen.encode()).hexdigest()[:16]
    store = cache_dir() / "features" / f"{path.stem}-{digest}.safetensors"
    if store.is_file():
        return store
    with sole_maker(store):
        if not store.is_file():
            keys, rows, metadata = read_features(path, width)
            bar = tqdm(rows, total=len(keys), desc=f"{path.name} to {store}", unit=" viewpoints")
            FeatureStore.write(store, bar, keys, metadata)
    return store


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
        metadata: Recorded where the format has a place for it.

    Raises:
        ModuleNotFoundError: LMDB is not installed.
        ValueError: The format is unknown, or there are more or fewer rows than keys.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        own = ("format_version", "view_order")
        FeatureStore.write(path, rows, keys, {k: v for k, v in metadata.items() if k not in own})
        return
    writers: dict[str, Callable[[Path, Iterable[Any], Mapping[str, Any]], None]] = {
        ".tsv": _write_tsv,
        ".h5": write_hdf5,
        ".hdf5": write_hdf5,
        ".lmdb": _write_lmdb,
    }
    if path.suffix not in writers:
        raise ValueError(f"{path}: features are written as .safetensors, {', '.join(writers)}")
    with atomic_write(path) as beside:
        writers[path.suffix](beside, zip(keys, rows, strict=True), metadata)


def _stored_rows(store: FeatureStore) -> Iterator[np.ndarray]:
    for row, views in enumerate(store.views):
        store.check_finite(np.array([row]))
        yield views


def _reader(path: Path) -> Callable[[Path], FeatureRows]:
    readers = {".tsv": read_tsv, ".h5": read_hdf5, ".hdf5": read_hdf5, ".lmdb": read_lmdb}
    if path.suffix not in readers:
        raise ValueError(f"{path}: features are read from .safetensors, {', '.join(readers)}")
    return readers[path.suffix]


def _without_logits(width: int) -> int:
    return width - _LOGITS if width - _LOGITS in _WIDTHS else width


def _cut(
    path: Path, keys: list[str], first: np.ndarray, rows: Iterator[np.ndarray], width: int
) -> Iterator[np.ndarray]:
    def check(key: str, row: np.ndarray) -> np.ndarray:
        if row.ndim != 2 or len(row) != NUM_VIEWS or row.shape[1] < width:
            raise ValueError(
                f"{path}: features of {key} have shape {row.shape}, not ({NUM_VIEWS}, {width}) or "
                "wider"
            )
        kept = row[:, :width]
        if not np.isfinite(kept).all():
            raise ValueError(
                f"{path}: features of {key} are not all finite; the file is damaged or was made "
                "wrongly: fetch it again, or make it anew"
            )
        return kept

    yield check(keys[0], first)
    for key, row in zip(keys[1:], rows, strict=True):
        yield check(key, row)


def _write_tsv(path: Path, items: Iterable[Any], metadata: Mapping[str, Any]) -> None:
    height, width = metadata.get("view_size", metadata.get("image_size", (480, 640)))
    vfov = metadata.get("vfov_degrees", 60)
    with path.open("wb") as file:
        for key, row in items:
            scan, _, viewpoint = key.rpartition("_")
            features = base64.b64encode(np.ascontiguousarray(row, "<f4").tobytes())
            head = f"{scan}\t{viewpoint}\t{width}\t{height}\t{vfov:g}\t"
            file.write(head.encode() + features + b"\n")


def _write_lmdb(path: Path, items: Iterable[Any], metadata: Mapping[str, Any]) -> None:
    options: dict[str, Any] = {"subdir": False, "lock": False, "map_size": _LMDB_BYTES}
    with (
        _lmdb().open(str(path), **options) as environment,
        environment.begin(write=True) as transaction,
    ):
        described = {**metadata, "dtype": "<f2"}
        transaction.put(LMDB_METADATA, json.dumps(described).encode())
        for key, row in items:
            transaction.put(key.encode(), np.asarray(row, "<f2").tobytes())


def _lmdb() -> Any:
    try:
        import lmdb
    except ImportError as error:
        raise ModuleNotFoundError('LMDB is not installed: pip install "clipnav[lmdb]"') from error
    return lmdb

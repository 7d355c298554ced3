"""Feature files of other projects: read row by row, and written.

TSV: lines of scanId, viewpointId, image_w, image_h, vfov and base64 of float32 (36, D), as written
by MatterSim's `precompute_img_features.py` and CLIP-ViL's `precomute_imagenet_views.py`.
HDF5: a data set (36, >= D) named `scan_viewpoint` for each viewpoint, as read by HAMT and DUET; the
last 1000 columns may be ImageNet logits. LMDB: under the same keys, either arrays encoded by
msgpack-numpy or raw numbers. In all of them the rows are in MatterSim's view order (its
`precompute_img_features.py` asserts it), but no file records that. The files are not trusted: their
sizes, types and numbers are checked before they are used.
"""

import base64
import binascii
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np

from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.extras import import_extra
from clipnav.storage.features.isolated_files import LMDB_METADATA, IsolatedFile
from clipnav.storage.features.store import FeatureStore
from clipnav.storage.features.store_file import FORMAT_FIELDS
from clipnav.storage.features.view_grid import NUM_VIEWS
from clipnav.storage.json_files import parse_json

_LMDB_BYTES = 1 << 40  # maximum size of a written file
_LOGITS = 1000
_WIDTHS = (512, 640, 768, 1024, 1280, 2048)  # feature widths that logits may follow
_ASSUMED_ORDER = "not recorded in the source; taken to be MatterSim's"
_TSV_FIELDS = ("scanId", "viewpointId", "image_w", "image_h", "vfov", "features")
_LONGEST_LINE = 1 << 26  # bytes; 36 views of 340,000 values
_HINT = "download the file again, or create it again"
# Types of features: float16, float32 or float64.
_DTYPE = re.compile("[<>=|]?f[248]")


class FeatureRows(NamedTuple):
    """Features that are read one viewpoint at a time.

    Attributes:
        keys: `scan_viewpoint` of each row.
        rows: Yields (36, D) for each key.
        metadata: Recorded metadata, such as the encoder.
    """

    keys: list[str]
    rows: Iterator[np.ndarray]
    metadata: dict[str, Any]


def read_foreign_features(path: Path, width: int | None = None) -> FeatureRows:
    """Read features in a format of another project, row by row.

    Args:
        width: D, the number of leading values of each view to read. By default all; but if the file
            is 1000 wider than 512, 640, 768, 1024, 1280 or 2048, the last 1000 are taken to be
            logits and skipped.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such feature file; check its name")
    readers = {".tsv": _read_tsv, ".h5": _read_hdf5, ".hdf5": _read_hdf5, ".lmdb": _read_lmdb}
    if path.suffix not in readers:
        raise UserError(f"{path}: unknown format; name a .safetensors, {', '.join(readers)} file")
    keys, rows, metadata = readers[path.suffix](path)
    if not keys:
        raise UserError(f"{path}: contains no features; download it again, or create it again")
    if len(set(keys)) < len(keys):
        repeated = next(key for key, count in Counter(keys).items() if count > 1)
        raise UserError(f"{path}: contains features of {truncate(repeated)} twice; create it again")
    first = next(rows)
    without = first.shape[-1] - _LOGITS
    kept = width or (without if without in _WIDTHS else first.shape[-1])
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
        rows: Yields (36, D) for each key.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        given = {k: v for k, v in metadata.items() if k not in FORMAT_FIELDS}
        FeatureStore.write(path, rows, keys, given)
        return
    writers: dict[str, Callable[[Path, Iterable[Any], Mapping[str, Any]], None]] = {
        ".tsv": _write_tsv,
        ".h5": _write_hdf5,
        ".hdf5": _write_hdf5,
        ".lmdb": _write_lmdb,
    }
    if path.suffix not in writers:
        raise UserError(f"{path}: unknown format; name a .safetensors, {', '.join(writers)} file")
    with atomic_write(path) as beside:
        writers[path.suffix](beside, zip(keys, rows, strict=True), metadata)


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
            f"of these features have {truncate(size)} and {truncate(vfov)}; write another format"
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
                    f"{path}: features of {truncate(key)} are too large for float16, the type of "
                    "an LMDB file; write .tsv or .hdf5"
                )
            transaction.put(key.encode(), half.tobytes())


def _write_hdf5(
    path: Path, items: Iterable[tuple[str, np.ndarray]], metadata: Mapping[str, Any]
) -> None:
    h5py = import_extra("h5py", "formats", f"{path}: writing HDF5")

    with FileIO(path, "w+") as raw:
        disk = _DeferredErrorFile(raw)
        with h5py.File(disk, "w") as file:
            file.attrs["metadata"] = json.dumps(dict(metadata))
            for key, row in items:
                disk.check()
                dataset = file.create_dataset(key, data=np.asarray(row))
                scan, _, viewpoint = key.rpartition("_")
                dataset.attrs.update({"scanId": scan, "viewpointId": viewpoint})
        disk.check()


class _DeferredErrorFile:
    """A file that stores write errors until `check` raises them.

    HDF5 2.x crashes with a segmentation fault when it closes a file on a full disk.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the stored error."""
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        remaining = memoryview(data)
        try:
            while remaining and self._error is None:
                remaining = remaining[self._file.write(remaining) :]
        except OSError as error:
            self._error = error
        return len(data)

    def truncate(self, size: int) -> int:
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._error = error
        return size

    def flush(self) -> None:
        """Do nothing, as the file has no buffer."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _read_tsv(path: Path) -> FeatureRows:
    keys: list[str] = []
    metadata: dict[str, Any] = {}
    with path.open("rb") as file:
        for number, line in _lines(path, file):
            count = 1 + line.count(b"\t")
            if count != len(_TSV_FIELDS):
                _refuse_line(path, number, f"{count} fields, not {_TSV_FIELDS}")
            try:
                # The last field is long and not needed here, so it is not decoded.
                scan, viewpoint, width, height, vfov = (
                    field.decode() for field in line.split(b"\t", 5)[:5]
                )
                if number == 1 and scan == _TSV_FIELDS[0]:
                    raise UserError(f"{path}: the first line is a header; remove it")
                if number == 1:
                    size = [int(height), int(width)]
                    metadata = {"view_size": size, "vfov_degrees": float(vfov)}
            except UnicodeDecodeError:
                _refuse_line(path, number, "a field is not valid UTF-8")
            except ValueError as error:
                if str(error).startswith(str(path)):
                    raise
                _refuse_line(path, number, f"image size or field of view is not a number ({error})")
            keys.append(f"{scan}_{viewpoint}")
    return FeatureRows(keys, _tsv_rows(path), metadata)


def _read_hdf5(path: Path) -> FeatureRows:
    file = IsolatedFile(path, "HDF5", _HINT)
    return FeatureRows(file.keys, iter(file), _metadata(path, file.metadata))


def _read_lmdb(path: Path) -> FeatureRows:
    """Read an LMDB file of msgpack-numpy arrays, or of raw numbers whose type a record contains."""
    file = IsolatedFile(path, "LMDB", _HINT)
    try:
        metadata = _metadata(path, file.metadata)
        dtype = metadata.pop("dtype", None)
        if dtype is not None and not (isinstance(dtype, str) and _DTYPE.fullmatch(dtype)):
            raise UserError(
                f"{path}: record {LMDB_METADATA} has dtype {truncate(dtype)}, but a "
                "floating-point type is expected; create the file again"
            )
        keys = [key for key in file.keys if not key.startswith("__")]
        if any("\ud800" <= letter <= "\udfff" for key in keys for letter in key):
            raise UserError(f"{path}: a key is not valid UTF-8; {_HINT}")
    except UserError:
        file.close()
        raise
    rows = (
        _lmdb_array(path, key, value.tobytes(), dtype)
        for key, value in zip(file.keys, file, strict=True)
        if not key.startswith("__")
    )
    return FeatureRows(keys, rows, metadata)


def _metadata(path: Path, recorded: str | bytes | None) -> dict[str, Any]:
    """Parse the JSON metadata of a file; empty if there is none."""
    if not recorded:
        return {}
    metadata = parse_json(recorded, f"{path}: metadata", _HINT)
    if not isinstance(metadata, dict):
        raise UserError(f"{path}: its metadata is not a JSON object; {_HINT}")
    return metadata


def _lines(path: Path, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
            _refuse_line(path, number, f"the line is longer than {_LONGEST_LINE:,} bytes")
        yield number, line


def _refuse_line(path: Path, number: int, problem: str) -> NoReturn:
    raise UserError(f"{path}, line {number}: {problem}; {_HINT}")


def _tsv_rows(path: Path) -> Iterator[np.ndarray]:
    with path.open("rb") as file:
        for number, line in _lines(path, file):
            encoded = line.rpartition(b"\t")[2].rstrip(b"\r\n")
            try:
                values = np.frombuffer(binascii.a2b_base64(encoded, strict_mode=True), "<f4")
                row = values.reshape(NUM_VIEWS, -1)
            except ValueError as error:
                _refuse_line(path, number, f"damaged features ({error})")
            yield row


def _lmdb_array(path: Path, key: str, value: bytes, dtype: str | None) -> np.ndarray:
    """Decode an array of msgpack-numpy, or raw numbers if their type is known."""
    import msgspec

    if dtype is not None:
        try:
            return np.frombuffer(value, dtype).reshape(NUM_VIEWS, -1)
        except ValueError as error:
            raise UserError(
                f"{path}: the value of {truncate(key)} is not a {dtype} array (36, width), but "
                f"{len(value)} bytes; {_HINT}"
            ) from error
    try:
        packed = msgspec.msgpack.decode(value)
        kind = packed[b"type"]
        kind = kind.decode() if isinstance(kind, bytes) else kind
        if not (isinstance(kind, str) and _DTYPE.fullmatch(kind)):
            raise UserError(f"type {truncate(kind)}")
        return np.frombuffer(packed[b"data"], kind).reshape(packed[b"shape"])
    except (
        msgspec.DecodeError,
        LookupError,
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:
        raise UserError(
            f"{path}: the value of {truncate(key)} is not a msgpack-numpy array; if the values "
            f"are raw numbers, add a record {LMDB_METADATA} with their type, such as "
            '{"dtype": "<f2"}'
        ) from error

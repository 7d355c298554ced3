"""Row-by-row readers of feature files of other projects: TSV, HDF5 and LMDB.

The files are not trusted: their sizes, types and numbers are checked before they are used.
`clipnav.storage.features.formats` describes the formats.
"""

import binascii
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np

from clipnav.storage.errors import UserError, shortened
from clipnav.storage.features.isolated_files import LMDB_METADATA, IsolatedFile
from clipnav.storage.features.view_grid import NUM_VIEWS
from clipnav.storage.json_files import parse_json

_TSV_FIELDS = ("scanId", "viewpointId", "image_w", "image_h", "vfov", "features")
_LONGEST_LINE = 1 << 26  # bytes; 36 views of 340,000 values
_REMEDY = "download the file again, or create it again"
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


def read_tsv(path: Path) -> FeatureRows:
    """Read a TSV file as written by the scripts of MatterSim and CLIP-ViL.

    Raises:
        UserError: A line is damaged; the message names file and line.
    """
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


def read_hdf5(path: Path) -> FeatureRows:
    """Read an HDF5 file as used by HAMT and DUET.

    Raises:
        UserError: The file is damaged or not an HDF5 file.
    """
    file = IsolatedFile(path, "HDF5", _REMEDY)
    return FeatureRows(file.keys, iter(file), _metadata(path, file.metadata))


def read_lmdb(path: Path) -> FeatureRows:
    """Read an LMDB file of msgpack-numpy arrays, or of raw numbers whose type a record contains.

    Raises:
        UserError: The file is damaged or not an LMDB file.
    """
    file = IsolatedFile(path, "LMDB", _REMEDY)
    try:
        metadata = _metadata(path, file.metadata)
        dtype = metadata.pop("dtype", None)
        if dtype is not None and not (isinstance(dtype, str) and _DTYPE.fullmatch(dtype)):
            raise UserError(
                f"{path}: record {LMDB_METADATA} has dtype {shortened(dtype)}, but a "
                "floating-point type is expected; create the file again"
            )
        keys = [key for key in file.keys if not key.startswith("__")]
        if any("\ud800" <= letter <= "\udfff" for key in keys for letter in key):
            raise UserError(f"{path}: a key is not valid UTF-8; {_REMEDY}")
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
    metadata = parse_json(recorded, f"{path}: metadata", _REMEDY)
    if not isinstance(metadata, dict):
        raise UserError(f"{path}: its metadata is not a JSON object; {_REMEDY}")
    return metadata


def _lines(path: Path, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
            _refuse_line(path, number, f"the line is longer than {_LONGEST_LINE:,} bytes")
        yield number, line


def _refuse_line(path: Path, number: int, problem: str) -> NoReturn:
    raise UserError(f"{path}, line {number}: {problem}; {_REMEDY}")


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
                f"{path}: the value of {shortened(key)} is not a {dtype} array (36, width), but "
                f"{len(value)} bytes; {_REMEDY}"
            ) from error
    try:
        packed = msgspec.msgpack.decode(value)
        kind = packed[b"type"]
        kind = kind.decode() if isinstance(kind, bytes) else kind
        if not (isinstance(kind, str) and _DTYPE.fullmatch(kind)):
            raise UserError(f"type {shortened(kind)}")
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
            f"{path}: the value of {shortened(key)} is not a msgpack-numpy array; if the values "
            f"are raw numbers, add a record {LMDB_METADATA} with their type, such as "
            '{"dtype": "<f2"}'
        ) from error

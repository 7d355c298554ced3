"""Readers of other people's files of features, row by row: TSV, HDF5 and LMDB.

The files come from anywhere, so that their sizes, types and numbers are checked before they are
used. `storage.features.formats` says who makes which format.
"""

import binascii
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np

from storage.features.hdf5_rows import Hdf5Rows
from storage.features.view_grid import NUM_VIEWS
from storage.json_files import parse_json
from storage.lmdb_files import LmdbFile
from storage.messages import shortened

LMDB_METADATA = b"__metadata__"
_TSV_FIELDS = ("scanId", "viewpointId", "image_w", "image_h", "vfov", "features")
_LONGEST_LINE = 1 << 26  # bytes; 36 views of 340,000 numbers
_REMEDY = "fetch the file again, or make it anew"
# Numbers in arrays of features: float16, float32 or float64.
_DTYPE = re.compile("[<>=|]?f[248]")


class FeatureRows(NamedTuple):
    """Features that are read one viewpoint after another.

    Attributes:
        keys: `scan_viewpoint` of each row.
        rows: Yields (36, D) for each key.
        metadata: What is known of them.
    """

    keys: list[str]
    rows: Iterator[np.ndarray]
    metadata: dict[str, Any]


def read_tsv(path: Path) -> FeatureRows:
    """Read the lines of MatterSim's and CLIP-ViL's scripts.

    Raises:
        ValueError: A line is damaged; names file and line.
    """
    keys: list[str] = []
    described: dict[str, Any] = {}
    with path.open("rb") as file:
        for number, line in _lines(path, file):
            count = 1 + line.count(b"\t")
            if count != len(_TSV_FIELDS):
                _refuse_line(path, number, f"{count} fields, not {_TSV_FIELDS}")
            try:
                # Without decoding the long last field.
                scan, viewpoint, width, height, vfov = (
                    field.decode() for field in line.split(b"\t", 5)[:5]
                )
                if number == 1 and scan == _TSV_FIELDS[0]:
                    raise ValueError(f"{path}: has a line of titles; remove it")
                if number == 1:
                    size = [int(height), int(width)]
                    described = {"view_size": size, "vfov_degrees": float(vfov)}
            except UnicodeDecodeError:
                _refuse_line(path, number, "a field is no text in UTF-8")
            except ValueError as error:
                if str(error).startswith(str(path)):
                    raise
                _refuse_line(path, number, f"no size and field of view ({error})")
            keys.append(f"{scan}_{viewpoint}")
    return FeatureRows(keys, _tsv_rows(path), described)


def read_hdf5(path: Path) -> FeatureRows:
    """Read the data sets of HAMT and DUET.

    Raises:
        ValueError: The file is no HDF5 file, or damaged.
    """
    rows = Hdf5Rows(path)
    return FeatureRows(rows.keys, iter(rows), _metadata(path, rows.metadata))


def read_lmdb(path: Path) -> FeatureRows:
    """Read arrays of msgpack-numpy, or bare numbers whose type a record tells.

    Raises:
        ValueError: The file is no LMDB file, or damaged.
    """
    file = LmdbFile(path)
    names = [key for key in file.keys() if not key.startswith(b"__")]
    try:
        keys = [name.decode() for name in names]
        recorded = file.get(LMDB_METADATA)
        metadata = _metadata(path, recorded)
        dtype = metadata.pop("dtype", None)
        if dtype is not None and not (isinstance(dtype, str) and _DTYPE.fullmatch(dtype)):
            raise ValueError(
                f"{path}: record {LMDB_METADATA.decode()} has dtype {shortened(dtype)}, which is "
                "no type of features"
            )
    except UnicodeDecodeError as error:
        file.close()
        raise ValueError(f"{path}: a key is no text in UTF-8; {_REMEDY}") from error
    except ValueError:
        file.close()
        raise
    return FeatureRows(keys, _lmdb_rows(path, file, keys, dtype), metadata)


def _metadata(path: Path, recorded: str | bytes | None) -> dict[str, Any]:
    """What a file says of itself in a record of JSON, if it has one."""
    if not recorded:
        return {}
    metadata = parse_json(recorded, f"{path}: record of metadata", _REMEDY)
    if not isinstance(metadata, dict):
        raise ValueError(f"{path}: its metadata is no JSON object; {_REMEDY}")
    return metadata


def _lines(path: Path, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
            _refuse_line(path, number, f"it is longer than {_LONGEST_LINE:,} bytes")
        yield number, line


def _refuse_line(path: Path, number: int, problem: str) -> NoReturn:
    raise ValueError(f"{path}, line {number}: {problem}; {_REMEDY}")


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


def _lmdb_rows(path: Path, file: LmdbFile, keys: list[str], dtype: str | None) -> Iterator[Any]:
    with file:
        for key in keys:
            yield _lmdb_array(path, key, file.get(key.encode()) or b"", dtype)


def _lmdb_array(path: Path, key: str, value: bytes, dtype: str | None) -> np.ndarray:
    """An array of msgpack-numpy, or bare numbers if their type is known."""
    import msgspec

    if dtype is not None:
        try:
            return np.frombuffer(value, dtype).reshape(NUM_VIEWS, -1)
        except ValueError as error:
            raise ValueError(
                f"{path}: the value of {shortened(key)} is no {dtype} (36, width), but "
                f"{len(value)} bytes; {_REMEDY}"
            ) from error
    try:
        packed = msgspec.msgpack.decode(value)
        kind = packed[b"type"]
        kind = kind.decode() if isinstance(kind, bytes) else kind
        if not (isinstance(kind, str) and _DTYPE.fullmatch(kind)):
            raise ValueError(f"type {shortened(kind)}")
        return np.frombuffer(packed[b"data"], kind).reshape(packed[b"shape"])
    except (
        msgspec.DecodeError,
        LookupError,
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:
        raise ValueError(
            f"{path}: the value of {shortened(key)} is no array of msgpack-numpy, and no record "
            f"{LMDB_METADATA.decode()} tells the type of bare numbers, as "
            '{"dtype": "<f2"} would'
        ) from error

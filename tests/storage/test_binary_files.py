"""Compressed files and safetensors headers, damaged or too large."""

import gzip
import json
import tracemalloc
import zlib

import msgspec
import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from clipnav.storage.bounds import ALWAYS_ALLOWED, ExpansionError
from clipnav.storage.gzip_files import open_maybe_packed
from clipnav.storage.records import read_records
from clipnav.storage.tensor_files import header_bytes, read_header


class Item(msgspec.Struct):
    path_id: int


def write_bomb(path, megabytes, start=b""):
    """Write spaces, which gzip compresses by a factor of 1000."""
    packer = zlib.compressobj(9, wbits=31)
    with path.open("wb") as file:
        file.write(packer.compress(start))
        for _ in range(megabytes):
            file.write(packer.compress(b" " * 1_000_000))
        file.write(packer.flush())


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_compressed_and_plain_files_are_read(tmp_path, pack):
    content = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(pack(content))
    with open_maybe_packed(tmp_path / "file") as file:
        assert file.read(10) == content[:10]
        assert file.read() == content[10:]


@pytest.mark.parametrize("start", [b"[", b'{"path_id": 1}\n'])
def test_a_gzip_bomb_is_refused_in_bounded_memory(tmp_path, start):
    path = tmp_path / "bomb.jsonl.gz"
    write_bomb(path, 200, start)
    tracemalloc.start()
    with pytest.raises(ExpansionError, match=r"bomb\.jsonl\.gz: expands to more than 19,.*gunzip"):
        read_records(path, Item, "fetch it again")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * ALWAYS_ALLOWED


def test_files_above_the_limit_are_refused_before_reading(tmp_path):
    path = tmp_path / "sparse.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ExpansionError, match=r"sparse\.json: .* the limit is 8,589,934,592"):
        read_records(path, Item, "")
    with pytest.raises(ExpansionError, match="but the limit is 5"):
        read_records(path, Item, "", 5)
    path.write_bytes(gzip.compress(b'{"path_id": 1}\n' * 50))
    with pytest.raises(ExpansionError, match="expands to more than 700 bytes"):
        read_records(path, Item, "", 700)


HALVES = np.arange(6, dtype=np.float16).reshape(2, 3)
MASK = np.array([1, 0, 1], np.uint8)


def test_the_library_reads_written_headers(tmp_path):
    path = tmp_path / "a.safetensors"
    header = header_bytes({"x": ("F16", (2, 3)), "m": ("U8", (3,))}, {"b": "1", "a": "2"})
    path.write_bytes(header + HALVES.tobytes() + MASK.tobytes())
    found = load_file(path)
    np.testing.assert_array_equal(found["x"], HALVES)
    np.testing.assert_array_equal(found["m"], MASK)
    assert read_header(path)[1] == len(header)


def test_files_of_the_library_are_read(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"x": HALVES}, path, {"a": "2"})
    header, start = read_header(path)
    assert header["__metadata__"] == {"a": "2"}
    first, end = header["x"]["data_offsets"]
    data = path.read_bytes()[start + first : start + end]
    np.testing.assert_array_equal(np.frombuffer(data, np.float16).reshape(2, 3), HALVES)


@pytest.mark.parametrize("content", [b"", b"1234", b"\xff" * 20, b"\x08" + bytes(7) + b'{"a": 1'])
def test_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.safetensors: not a safetensors file, or damaged"):
        read_header(path)


def written(tmp_path, header, data=bytes(12)):
    raw = (header if isinstance(header, str) else json.dumps(header)).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + data)
    return path


def entry(dtype="F16", shape=(2, 3), offsets=(0, 12)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    "header",
    [
        {"x": entry(shape=(2, 2**62))},
        {"x": entry(shape=(2**40, 2**40), offsets=(0, 2**81))},
        {"x": entry(shape=(-2, -3))},
        {"x": entry(shape=(True, 6))},
        {"x": entry(dtype="F32")},
        {"x": entry(dtype="what")},
        {"x": entry(dtype=["F16"])},
        {"x": entry(offsets=(12, 0))},
        {"x": entry(offsets=(0, 12, 24))},
        {"x": entry(), "y": entry()},
        {"x": entry(), "y": entry(shape=(1,), offsets=(14, 16))},
        {"x": 3},
        {"x": {"dtype": "F16"}},
        {"__metadata__": {"keys": 3}, "x": entry()},
        {"__metadata__": [], "x": entry()},
        '{"x": 1, "x": 2}',
        "[" * 100_000,
    ],
)
def test_inconsistent_headers_are_refused(tmp_path, header):
    path = written(tmp_path, header)
    with pytest.raises(ValueError, match=r"a\.safetensors: not a safetensors file, or damaged"):
        read_header(path)
    with pytest.raises(SafetensorError):  # the library agrees
        load_file(path)


@pytest.mark.parametrize("size", [0, 5, 11, 13])
def test_files_shorter_or_longer_than_their_tensors_are_refused(tmp_path, size):
    with pytest.raises(ValueError, match=r"a\.safetensors: (truncated|too long)"):
        read_header(written(tmp_path, {"x": entry()}, bytes(size)))

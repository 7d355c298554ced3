import json

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from clipnav.storage.tensor_files import header_bytes, read_header

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

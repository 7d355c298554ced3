import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from storage.tensor_files import header_bytes, read_header

HALVES = np.arange(6, dtype=np.float16).reshape(2, 3)
MASK = np.array([1, 0, 1], np.uint8)


def test_the_library_reads_what_is_written(tmp_path):
    path = tmp_path / "a.safetensors"
    header = header_bytes({"x": ("F16", (2, 3)), "m": ("U8", (3,))}, {"b": "1", "a": "2"})
    path.write_bytes(header + HALVES.tobytes() + MASK.tobytes())
    found = load_file(path)
    np.testing.assert_array_equal(found["x"], HALVES)
    np.testing.assert_array_equal(found["m"], MASK)
    assert read_header(path)[1] == len(header)


def test_what_the_library_writes_is_read(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"x": HALVES}, path, {"a": "2"})
    header, start = read_header(path)
    assert header["__metadata__"] == {"a": "2"}
    first, end = header["x"]["data_offsets"]
    data = path.read_bytes()[start + first : start + end]
    np.testing.assert_array_equal(np.frombuffer(data, np.float16).reshape(2, 3), HALVES)


@pytest.mark.parametrize("content", [b"", b"1234", b"\xff" * 20, b"\x08" + bytes(7) + b'{"a": 1'])
def test_damaged_files_are_named(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.safetensors: not a safetensors file, or damaged"):
        read_header(path)

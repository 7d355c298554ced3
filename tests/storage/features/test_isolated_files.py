import stat
import struct

import h5py
import lmdb
import numpy as np
import pytest

from clipnav.storage.features import isolated_files
from clipnav.storage.features.isolated_files import IsolatedFile
from clipnav.storage.features.opening import read_features

ROW = np.random.default_rng(0).standard_normal((36, 8)).astype(np.float32)


@pytest.fixture
def make(tmp_path):
    def make(write):
        path = tmp_path / "views.h5"
        with h5py.File(path, "w") as file:
            file["lab_a"] = ROW
            write(file)
        return path

    return make


def test_rows_keep_values_and_types(make):
    kinds = {"lab_b": "f2", "lab_c": "f8", "lab_d": ">f4"}

    def write(file):
        for key, kind in kinds.items():
            file[key] = (2 * ROW).astype(kind)
        file.create_group("more")
        file.attrs["metadata"] = '{"encoder": "tiny"}'

    rows = IsolatedFile(make(write), "HDF5", "")
    assert (rows.keys, rows.metadata) == (["lab_a", *kinds], '{"encoder": "tiny"}')
    first, *others = rows
    np.testing.assert_array_equal(first, ROW)
    for row, kind in zip(others, kinds.values(), strict=True):
        assert row.dtype == np.dtype(kind)
        np.testing.assert_array_equal(row, (2 * ROW).astype(kind))


def test_metadata_is_read_from_any_string_type(make):
    for text in ('{"encoder": "tiny"}', np.bytes_(b'{"encoder": "tiny"}')):
        path = make(lambda file, text=text: file.attrs.update({"metadata": text}))
        assert read_features(path).metadata["encoder"] == "tiny"


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (lambda f: f.create_dataset("x", (36, 10**9), "f4", chunks=(36, 512)), "shape .36, 10"),
        (lambda f: f.create_dataset("x", (12, 8), "f4"), r"features of x have shape \(12, 8\)"),
        (lambda f: f.create_dataset("x", data=h5py.Empty("f4")), "shape None"),
        (lambda f: f.create_dataset("x", (36, 8), "i4"), "x contains int32, not floating-point"),
        (lambda f: f.create_dataset("x", (36, 8), h5py.string_dtype()), "x contains object"),
        (
            lambda f: f.create_dataset(
                "x", (36, 8), "f4", maxshape=(None, None), chunks=(36 * 512, 512)
            ),
            "x is stored in chunks of",
        ),
        (
            lambda f: f.create_dataset("x", (36, 8), "f4", external=[("/dev/zero", 0, 1152)]),
            "the values of x are stored in another file",
        ),
        (
            lambda f: f.__setitem__("x", h5py.ExternalLink("/etc/other.h5", "/a")),
            "x is stored in another file",
        ),
    ],
)
def test_data_sets_of_unexpected_form_are_refused(make, write, problem):
    path = make(write)
    with pytest.raises(ValueError, match=rf"views\.h5: .*{problem}.*; download the file again"):
        list(read_features(path).rows)


@pytest.mark.parametrize(
    "child", ["kill -SEGV $$", "exec sleep 600", 'echo \'{"keys": ["a_b"]}\'; exec sleep 600']
)
def test_a_crash_or_hang_of_the_library_is_an_error(make, tmp_path, monkeypatch, child):
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!/bin/sh\n{child}\n")
    interpreter.chmod(interpreter.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(isolated_files.sys, "executable", str(interpreter))
    monkeypatch.setattr(isolated_files, "_PATIENCE", 0.05)
    with pytest.raises(ValueError, match=r"views\.h5: damaged, as the HDF5 library crashed"):
        IsolatedFile(make(lambda file: None), "HDF5", "")


@pytest.fixture
def write_lmdb(tmp_path):
    def write(items):
        path = tmp_path / "texts.lmdb"
        options = {"subdir": False, "lock": False, "map_size": 1 << 28}
        with lmdb.open(str(path), **options) as environment:
            with environment.begin(write=True) as transaction:
                for key, value in items.items():
                    transaction.put(key, value)
        return path

    return write


def read_lmdb(path):
    file = IsolatedFile(path, "LMDB", "write it again")
    return dict(zip(file.keys, [value.tobytes() for value in file], strict=True))


@pytest.mark.parametrize(("count", "size"), [(0, 1), (1, 100_000), (40, 9000), (3000, 90)])
def test_keys_and_values_of_lmdb_are_read(write_lmdb, count, size):
    rng = np.random.default_rng(0)
    items = {b"%06d\xff" % i: rng.bytes(int(rng.integers(size))) for i in range(count)}
    read = read_lmdb(write_lmdb(items))
    assert {key.encode("utf-8", "surrogateescape"): read[key] for key in read} == items


@pytest.mark.parametrize(("size", "keep"), [(90, 0), (90, 5000), (9000, 8 * 4096), (9000, -100)])
def test_a_truncated_lmdb_file_is_refused(write_lmdb, size, keep):
    path = write_lmdb({b"%06d" % i: bytes(size) for i in range(400)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"texts\.lmdb: .*(damaged|trunc).*; write it again"):
        read_lmdb(path)


def root_of(raw):
    """Return the root page of an LMDB file that was written once."""
    roots = [struct.unpack_from("<Q", raw, at + 16 + 24 + 48 + 40)[0] for at in (0, 4096)]
    return min(roots)  # that of the empty file is 2**64 - 1


def test_a_tree_of_lmdb_with_a_cycle_is_refused(write_lmdb):
    path = write_lmdb({b"%06d" % i: bytes(90) for i in range(3000)})
    raw = bytearray(path.read_bytes())
    root = root_of(raw) * 4096
    first, second = struct.unpack_from("<HH", raw, root + 16)
    raw[root + second : root + second + 6] = raw[root + first : root + first + 6]
    struct.pack_into("<HHH", raw, root + first, root // 4096, 0, 0)
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"texts\.lmdb: .*; write it again"):
        read_lmdb(path)


def test_values_of_lmdb_that_share_pages_are_refused(write_lmdb):
    """Otherwise a small file could expand to an unlimited size."""
    path = write_lmdb({b"%02d" % i: bytes(50_000) for i in range(20)})
    raw = path.read_bytes()
    leaf = root_of(raw) * 4096
    damaged = bytearray(raw)
    nodes = [leaf + at for at in struct.unpack_from("<20H", raw, leaf + 16)]
    for node in nodes:
        damaged[node + 10 : node + 18] = raw[nodes[0] + 10 : nodes[0] + 18]
        struct.pack_into("<HH", damaged, node, 0xFFFF, 1)
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="several entries share the same pages"):
        read_lmdb(path)

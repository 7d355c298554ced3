import stat

import h5py
import numpy as np
import pytest

from clipnav.storage.features import hdf5_rows
from clipnav.storage.features.hdf5_rows import Hdf5Rows
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

    rows = Hdf5Rows(make(write))
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
        (lambda f: f.create_dataset("x", (36, 2**40), "f4", chunks=(36, 512)), "shape .36, "),
        (lambda f: f.create_dataset("x", (12, 8), "f4"), r"features of x have shape \(12, 8\)"),
        (lambda f: f.create_dataset("x", (36,), "f4"), r"shape \(36,\)"),
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
    monkeypatch.setattr(hdf5_rows.sys, "executable", str(interpreter))
    monkeypatch.setattr(hdf5_rows, "_PATIENCE", 0.05)
    with pytest.raises(ValueError, match=r"views\.h5: damaged, as the HDF5 library crashed"):
        Hdf5Rows(make(lambda file: None))


def test_reading_may_stop_early(make):
    rows = Hdf5Rows(make(lambda file: file.create_dataset("lab_b", data=ROW)))
    reading = iter(rows)
    next(reading)
    reading.close()
    assert rows._process.poll() is not None

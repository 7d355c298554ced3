"""Feature files that contain rows of two encoders."""

import base64
import json
import pickle
import stat
import struct
import sys
from pathlib import Path

import h5py
import lmdb
import numpy as np
import pytest

from clipnav.storage.errors import UserError
from clipnav.storage.features import isolated_files
from clipnav.storage.features.formats import write_features
from clipnav.storage.features.isolated_files import IsolatedFile
from clipnav.storage.features.opening import cached_store, open_store, read_features
from clipnav.storage.features.shards import Shard
from clipnav.storage.features.store import FeatureStore

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
        (lambda f: f.create_dataset("x", (36, 10**9), "f4", chunks=(36, 512)), "would expand"),
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


ROOT = Path(__file__).resolve().parents[3]
KEYS = ["house_00_a", "house_00_b", "zQmF_0f3d"]
FORMATS = ["tsv", "h5", "hdf5", "lmdb", "safetensors"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def views() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 36, 8)).astype(np.float16)


@pytest.mark.parametrize("suffix", FORMATS)
def test_written_features_are_read_back(tmp_path: Path, views: np.ndarray, suffix: str):
    path = tmp_path / f"features.{suffix}"
    write_features(path, KEYS, views, {"encoder": "tiny", "vfov_degrees": 60})
    keys, rows, metadata = read_features(path)
    assert keys == KEYS
    np.testing.assert_array_equal(np.stack(list(rows)), views)
    assert metadata["vfov_degrees"] == 60
    assert metadata["encoder"] == (f"unknown, of {path.name}" if suffix == "tsv" else "tiny")
    assert list(tmp_path.glob(f"*.{suffix}*")) == [path]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_store_opens_from_any_format(tmp_path: Path, views: np.ndarray, suffix: str):
    path = tmp_path / f"features.{suffix}"
    write_features(path, KEYS, views, {})
    store = open_store(path)
    np.testing.assert_array_equal(np.asarray(store.views), views)
    assert store.row("zQmF", "0f3d") == 2
    assert np.array_equal(np.asarray(pickle.loads(pickle.dumps(store)).views), views)
    narrow = suffix != "safetensors"
    if narrow:
        np.testing.assert_array_equal(np.asarray(open_store(path, 5).views), views[..., :5])
    else:
        with pytest.raises(ValueError, match=r"8 wide, but 5 are expected"):
            open_store(path, 5)


def test_a_tsv_contains_the_camera_that_a_store_of_another_encoder_records(tmp_path: Path, views):
    path = tmp_path / "features.tsv"
    write_features(path, KEYS, views, {"image_size": 224, "vfov_degrees": "75"})
    assert read_features(path).metadata["view_size"] == [224, 224]
    assert read_features(path).metadata["vfov_degrees"] == 75
    with pytest.raises(UserError, match=r"the metadata of these features have large and 60;"):
        write_features(path, KEYS, views, {"image_size": "large"})
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_converted_again_when_it_changes(tmp_path: Path, views: np.ndarray):
    path = tmp_path / "features.h5"
    write_features(path, KEYS, views, {})
    first = cached_store(path)
    assert cached_store(path) == first
    write_features(path, KEYS[:2], views[:2], {})
    assert cached_store(path) != first
    assert open_store(path).keys == KEYS[:2]


def test_a_tsv_of_matsersims_script_is_read(tmp_path: Path):
    """Its csv.DictWriter writes no header line, and ends lines with CR LF."""
    values = np.random.default_rng(1).normal(size=(36, 8)).astype(np.float32)
    encoded = base64.b64encode(values.tobytes()).decode()
    path = tmp_path / "ResNet.tsv"
    path.write_bytes(f"zQmF\t0f3d\t640\t480\t60\t{encoded}\r\n".encode())
    keys, rows, metadata = read_features(path)
    assert keys == ["zQmF_0f3d"]
    np.testing.assert_array_equal(next(rows), values)
    assert (metadata["view_size"], metadata["vfov_degrees"]) == ([480, 640], 60)
    assert "not recorded" in metadata["view_order_source"]


def test_trailing_logits_are_skipped(tmp_path: Path):
    path = tmp_path / "vit.hdf5"
    values = np.random.default_rng(2).normal(size=(36, 768 + 1000)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["zQmF_0f3d"] = values
    store = open_store(path)
    assert store.width == 768
    assert store.metadata["source_width"] == 1768
    np.testing.assert_allclose(store.views[0], values[:, :768], atol=2e-3)
    assert open_store(path, 1768).width == 1768


def test_lmdb_of_msgpack_arrays_is_read(tmp_path: Path, views: np.ndarray):
    lmdb = pytest.importorskip("lmdb")
    import msgspec

    path = tmp_path / "packed.lmdb"
    with lmdb.open(str(path), map_size=1 << 22) as environment:  # a folder, LMDB's default
        with environment.begin(write=True) as transaction:
            for key, row in zip(KEYS, views.astype(np.float32), strict=True):
                fields = {b"nd": True, b"type": row.dtype.str, b"shape": row.shape}
                packed = msgspec.msgpack.encode({**fields, b"kind": b"", b"data": row.tobytes()})
                transaction.put(key.encode(), packed)
            transaction.put(b"__keys__", b"whatever")
    np.testing.assert_array_equal(np.asarray(open_store(path).views), views)


def test_lmdb_in_a_folder_that_is_written_again_is_converted_again(tmp_path: Path):
    lmdb = pytest.importorskip("lmdb")
    path = tmp_path / "raw.lmdb"

    def write(value: float) -> None:
        with (
            lmdb.open(str(path), map_size=1 << 22) as environment,
            environment.begin(write=True) as transaction,
        ):
            transaction.put(b"__metadata__", b'{"dtype": "<f2"}')
            transaction.put(KEYS[0].encode(), np.full((36, 8), value, "<f2").tobytes())

    write(1.0)
    assert (open_store(path).views == 1).all()
    write(2.0)
    assert (open_store(path).views == 2).all()


def test_the_extra_of_the_libraries_is_named(tmp_path: Path, views, monkeypatch):
    path = tmp_path / "views.lmdb"
    write_features(path, KEYS, views, {})
    monkeypatch.setitem(sys.modules, "lmdb", None)
    for use in (read_features, lambda path: write_features(path, KEYS, views, {})):
        with pytest.raises(ModuleNotFoundError, match=r"clipnav\[formats\]"):
            use(path)


def test_raw_numbers_in_lmdb_require_a_recorded_type(tmp_path: Path, views: np.ndarray):
    lmdb = pytest.importorskip("lmdb")
    path = tmp_path / "bare.lmdb"
    with (
        lmdb.open(str(path), subdir=False, map_size=1 << 22) as environment,
        environment.begin(write=True) as transaction,
    ):
        transaction.put(b"house_00_a", views[0].tobytes())
    with pytest.raises(ValueError, match=r"house_00_a is not a msgpack.*\"dtype\": \"<f2\""):
        open_store(path)
    with (
        lmdb.open(str(path), subdir=False, map_size=1 << 22) as environment,
        environment.begin(write=True) as transaction,
    ):
        transaction.put(b"__metadata__", json.dumps({"dtype": "<f2"}).encode())
    np.testing.assert_array_equal(np.asarray(open_store(path).views), views[:1])


def test_errors_name_damaged_records_and_leave_no_store(tmp_path: Path, views: np.ndarray):
    titled = tmp_path / "titled.tsv"
    titled.write_text("scanId\tviewpointId\timage_w\timage_h\tvfov\tfeatures\n")
    with pytest.raises(ValueError, match=r"titled\.tsv: the first line is a header"):
        open_store(titled)
    short = tmp_path / "short.tsv"
    write_features(short, KEYS, views, {})
    lines = short.read_bytes().splitlines(keepends=True)
    short.write_bytes(b"".join([lines[0], lines[1][:-9] + b"\n", lines[2]]))
    with pytest.raises(ValueError, match=r"short\.tsv, line 2: damaged"):
        open_store(short)
    short.write_bytes(lines[0] + lines[1].replace(b"\t60\t", b"\t"))
    with pytest.raises(ValueError, match=r"short\.tsv, line 2: 5 fields"):
        open_store(short)
    wrong = tmp_path / "wrong.h5"
    write_features(wrong, KEYS, [views[0], views[1, :12], views[2]], {})
    with pytest.raises(ValueError, match=r"wrong\.h5: features of house_00_b have shape \(12, 8\)"):
        open_store(wrong)
    for name in ("none.h5", "text.h5", "empty.tsv"):
        (tmp_path / name).write_bytes(b"" if name == "empty.tsv" else b"text")
    with pytest.raises(ValueError, match="not an HDF5 file"):
        open_store(tmp_path / "text.h5")
    with pytest.raises(ValueError, match=r"empty\.tsv: contains no features"):
        open_store(tmp_path / "empty.tsv")
    assert not list((tmp_path / "cache" / "features").glob("*"))
    with pytest.raises(ValueError, match=r"unknown format; name a .safetensors, .tsv"):
        read_features(ROOT / "pyproject.toml")
    with pytest.raises(FileNotFoundError, match=r"gone\.tsv"):
        read_features(tmp_path / "gone.tsv")


def test_shards_open_as_one_store(tmp_path: Path, views: np.ndarray):
    path = tmp_path / "store.safetensors"
    for index, rows in enumerate((np.s_[:2], np.s_[2:])):
        shard = Shard(index, 2).path(path)
        FeatureStore.write(shard, views[rows], KEYS[rows], {"encoder": "tiny"})
    store = open_store(path, 8)
    assert store.keys == KEYS
    assert store.metadata["encoder"] == "tiny"
    np.testing.assert_array_equal(store.take(np.array([2, 0])), views[[2, 0]].astype(np.float32))
    np.testing.assert_array_equal(
        np.asarray(pickle.loads(pickle.dumps(store)).views), np.asarray(store.views)
    )
    FeatureStore.write(Shard(1, 2).path(path), views[2:], KEYS[2:], {"encoder": "other"})
    with pytest.raises(ValueError, match="'encoder' is 'other' and 'tiny'"):
        open_store(path)
    Shard(0, 2).path(path).unlink()
    with pytest.raises(FileNotFoundError, match="00000-of-00002"):
        open_store(path)


def test_commands_inspect_convert_and_reorder_features(run_command, tmp_path: Path):
    """Shipped features that are written top band first are converted to the expected order."""
    shipped = open_store(ROOT / "envs/houses/data/house_clip_features.safetensors")
    views = np.asarray(shipped.views[:40])
    upside_down = np.concatenate([views[:, 24:], views[:, 12:24], views[:, :12]], axis=1)
    path, output = tmp_path / "top_first.tsv", tmp_path / "right.safetensors"
    write_features(path, shipped.keys[:40], upside_down, {})
    shown = run_command("inspect-features", "--features", path, "--reference", shipped.path)
    best = shown.split("order of the rows")[1].splitlines()[1]
    assert "+1.000  top,middle,bottom x 12 headings clockwise, heading 0 in column 0" in best
    known = ("--encoder", "house_clip", "--view-order", "top_first")
    run_command("convert-features", "--features", path, "--output", output, *known)
    np.testing.assert_array_equal(np.asarray(open_store(output).views), views)
    assert open_store(output).metadata["encoder"] == "house_clip"


def test_a_store_has_one_width(run_command, tmp_path: Path, capsys):
    arguments = ("--features", "a.safetensors", "--width", 8, "--output", tmp_path / "b.tsv")
    with pytest.raises(SystemExit):
        run_command("convert-features", *arguments)
    message = " ".join(capsys.readouterr().err.split())
    assert "--width 8 has no effect with a.safetensors" in message


@pytest.mark.parametrize("suffix", ["tsv", "hdf5", "lmdb"])
def test_errors_name_the_viewpoint_of_infinite_features(tmp_path: Path, views, suffix):
    path = tmp_path / f"views.{suffix}"
    views = views.astype(np.float32)
    views[1, 7, 3] = np.inf
    write_features(path, KEYS, views, {})
    for use in (lambda: list(read_features(path).rows), lambda: open_store(path)):
        with pytest.raises(ValueError, match=rf"views\.{suffix}: features of {KEYS[1]} are not"):
            use()
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize("suffix", [".lmdb", ".safetensors"])
def test_features_beyond_float16_are_not_written_as_infinite(tmp_path: Path, suffix: str):
    path = tmp_path / f"views{suffix}"
    with pytest.raises(UserError, match=r"scan_b are .* float16"):
        write_features(path, ["scan_a", "scan_b"], iter(np.full((2, 36, 3), [[[1]], [[7e4]]])), {})
    assert not list(tmp_path.glob("views*"))


def test_duplicate_keys_are_refused(tmp_path: Path, views):
    path = tmp_path / "twice.tsv"
    write_features(path, [*KEYS[:2], KEYS[0]], views, {})
    with pytest.raises(ValueError, match=rf"twice\.tsv: contains features of {KEYS[0]} twice"):
        read_features(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"type", "O"),
        (b"type", "V99999999999"),
        (b"type", "<i4,(2,3)f4"),
        (b"shape", [2**40, 2**40]),
        (b"shape", "x"),
        (b"data", 3),
    ],
)
def test_msgpack_arrays_in_lmdb_are_checked(tmp_path: Path, views, field, value):
    lmdb = pytest.importorskip("lmdb")
    import msgspec

    row = views[0].astype(np.float32)
    fields = {b"nd": True, b"type": "<f4", b"shape": row.shape, b"data": row.tobytes()}
    path = tmp_path / "packed.lmdb"
    with lmdb.open(str(path), subdir=False, map_size=1 << 22) as environment:
        with environment.begin(write=True) as transaction:
            packed = msgspec.msgpack.encode({**fields, field: value})
            transaction.put(b"house_00_a", packed)
    with pytest.raises(ValueError, match=r"packed\.lmdb: the value of house_00_a is not a msgpack"):
        read_features(path)


def test_inspect_features_names_a_viewpoint_with_nan(tmp_path: Path, views, run_command):
    path = tmp_path / "views.safetensors"
    write_features(path, KEYS, views, {"encoder": "tiny"})
    raw = bytearray(path.read_bytes())
    raw[-2:] = np.float16("nan").tobytes()
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="features of viewpoint 0f3d of scan zQmF are not all"):
        run_command("inspect-features", "--features", path)
    with pytest.raises(ValueError, match="features of viewpoint 0f3d of scan zQmF are not all"):
        run_command("convert-features", "--features", path, "--output", tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


@pytest.mark.parametrize("suffix", ["tsv", "lmdb"])
@pytest.mark.parametrize("width", [None, 4])
def test_rows_of_two_encoders_are_refused(tmp_path: Path, suffix: str, width: int | None):
    path = tmp_path / f"features.{suffix}"
    rows = [np.zeros((36, width), np.float16) for width in (8, 12)]
    write_features(path, KEYS[:2], rows, {"encoder": "tiny"})
    with pytest.raises(UserError, match=r"house_00_b have shape \(36, 12\), but .* \(36, 8\)"):
        list(read_features(path, width).rows)


def test_reading_may_stop_early(make):
    rows = IsolatedFile(make(lambda file: file.create_dataset("lab_b", data=ROW)), "HDF5", "")
    reading = iter(rows)
    next(reading)
    reading.close()
    assert rows._process.poll() is not None

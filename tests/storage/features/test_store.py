import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from clipnav.storage.features.opening import open_store
from clipnav.storage.features.store import FeatureStore, ShardedViews, store_of_arrays
from clipnav.storage.features.store_file import feature_key
from clipnav.storage.features.view_grid import NUM_VIEWS, VIEW_ORDER

KEYS = ["house_00_a", "house_00_b", "house_01_a"]


@pytest.fixture
def views() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, NUM_VIEWS, 5)).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path, views: np.ndarray) -> Path:
    path = tmp_path / "store.safetensors"
    FeatureStore.write(path, views, KEYS, {"encoder": "tiny", "vfov_degrees": 60})
    return path


def test_written_features_are_read_back(path: Path, views: np.ndarray):
    store = open_store(path, expected_width=5)
    assert store.keys == KEYS
    assert store.width == 5
    assert store.metadata["encoder"] == "tiny"
    assert store.metadata["vfov_degrees"] == 60
    assert store.row("house_00", "b") == 1
    assert feature_key("house_01", "a") in store
    taken = store.take(np.array([2, 0, 2]))
    assert taken.dtype == np.float32
    np.testing.assert_array_equal(taken, views[[2, 0, 2]].astype(np.float16).astype(np.float32))


def test_the_safetensors_library_reads_the_file(path: Path, views: np.ndarray):
    with safe_open(path, framework="numpy") as file:
        np.testing.assert_array_equal(file.get_tensor("views"), views.astype(np.float16))
        assert json.loads(file.metadata()["view_order"]) == VIEW_ORDER


def test_width_and_view_order_are_checked(path: Path, tmp_path: Path, views: np.ndarray):
    with pytest.raises(ValueError, match=r"store\.safetensors.* 5 wide.* 512 "):
        open_store(path, expected_width=512)
    other = tmp_path / "top_first.safetensors"
    save_file(
        {"views": views.astype(np.float16)},
        other,
        {"keys": json.dumps(KEYS), "format_version": "1", "view_order": "top,middle,bottom"},
    )
    with pytest.raises(ValueError, match=r"'top,middle,bottom'.*'bottom,middle,top"):
        open_store(other)


@pytest.mark.parametrize("keep", [0, 5, 20, -10])
def test_a_truncated_file_is_refused(path: Path, keep: int):
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"store\.safetensors.*extract the features again"):
        open_store(path)


def test_a_foreign_file_is_refused(tmp_path: Path):
    text = tmp_path / "text.safetensors"
    text.write_bytes(struct.pack("<Q", 2**60) + b"hello")
    with pytest.raises(ValueError, match="not a safetensors file"):
        open_store(text)
    weights = tmp_path / "weights.safetensors"
    save_file({"bias": np.zeros(3, np.float32)}, weights)
    with pytest.raises(ValueError, match=r"'views' but \['bias'\]"):
        open_store(weights)
    flat = tmp_path / "flat.safetensors"
    save_file({"views": np.zeros((3, 12, 5), np.float16)}, flat)
    with pytest.raises(ValueError, match=r"F16 \(3, 12, 5\)"):
        open_store(flat)


@pytest.mark.parametrize("fault", ["few", "many", "narrow", "infinite", "twice", "pairs"])
def test_invalid_features_keep_the_old_store_and_leave_no_other_file(
    path: Path, views: np.ndarray, fault: str
):
    before = path.read_bytes()
    rows, keys = list(views), list(KEYS)
    match fault:
        case "few":
            rows.pop()
        case "many":
            rows.append(rows[0])
        case "narrow":
            rows[1] = rows[1][:, :4]
        case "infinite":
            rows[2] = np.full_like(rows[2], 1e6)
        case "twice":
            keys[2] = keys[0]
        case "pairs":
            keys = [tuple(key.split("_")) for key in keys]
    with pytest.raises(ValueError, match=r"store\.safetensors"):
        FeatureStore.write(path, rows, keys)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.fixture
def broken(tmp_path: Path, views: np.ndarray) -> Path:
    """A store with NaN in the last viewpoint."""
    path = tmp_path / "broken.safetensors"
    FeatureStore.write(path, views, KEYS)
    raw = bytearray(path.read_bytes())
    raw[-2:] = np.float16("nan").tobytes()
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_errors_name_the_viewpoint_of_infinite_or_nan_features(broken: Path, value: str):
    raw = bytearray(broken.read_bytes())
    raw[-2:] = np.float16(value).tobytes()
    broken.write_bytes(raw)
    store = open_store(broken)
    scan, _, viewpoint = KEYS[-1].rpartition("_")
    store.check_finite(np.array([0, 1, 0]))
    assert np.isfinite(store.take(np.array([1]))).all()
    match = rf"broken.safetensors: features of viewpoint {viewpoint} of scan {scan} are not all"
    for use in (store.check_finite, store.take):
        with pytest.raises(ValueError, match=rf"{match} finite.*extract the features again"):
            use(np.array([0, len(KEYS) - 1]))


def test_check_finite_accepts_exactly_the_finite_float16_numbers(tmp_path: Path):
    """Tries all 65,536 of them."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    store = FeatureStore(tmp_path, ["a_b"], {}, np.zeros((1, 36, 1), np.float16))
    for half in halves:
        store.views = np.full((1, 36, 1), half)
        store._known_finite[:] = False
        if np.isfinite(half):
            store.check_finite(np.array([0]))
        else:
            with pytest.raises(ValueError, match="not all finite"):
                store.check_finite(np.array([0]))


@pytest.mark.parametrize("sharded", [False, True])
def test_pages_that_were_read_are_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sharded: bool
):
    if not Path("/proc/self/smaps").exists():
        pytest.skip("only Linux tells the memory of a map")
    monkeypatch.setattr("clipnav.storage.features.store._RESIDENT", 2**20)
    files = [tmp_path / f"{number}.safetensors" for number in range(1 + sharded)]
    views = np.random.default_rng(0).normal(size=(20, NUM_VIEWS, 2**12)).astype(np.float16)
    for number, file in enumerate(files):
        FeatureStore.write(file, views, [f"house_{number:02}_{row}" for row in range(20)])
    path = tmp_path / "all.safetensors"
    store = FeatureStore.from_shards(path, files) if sharded else FeatureStore.from_file(files[0])
    rows = np.arange(len(store))
    store.check_finite(rows)
    maps = Path("/proc/self/smaps").read_text().split(str(tmp_path))[1:]
    assert len(maps) == len(files)
    resident = [int(part.split("Rss:")[1].split()[0]) for part in maps]  # KiB, 5760 when all read
    assert max(resident) < 3 * 2**10
    np.testing.assert_array_equal(store.take(rows), np.concatenate([views] * len(files)))


def test_the_error_of_an_unknown_format_names_the_known_ones(tmp_path: Path):
    text = tmp_path / "README.md"
    text.write_text("# A file of the user\n")
    with pytest.raises(ValueError, match=r"README\.md: not a feature file; .*\.tsv") as error:
        open_store(text)
    assert "delete" not in str(error.value)


MEMORY_KEYS = ["attic_a0", "attic_a1", "barn_b0"]


@pytest.fixture
def arrays():
    return np.random.default_rng(0).standard_normal((3, 36, 4)).astype(np.float32)


@pytest.fixture(params=["mapping", "array"])
def features(request, arrays):
    if request.param == "array":
        return arrays
    # The order of a mapping does not matter, and other keys are ignored.
    return {**dict(reversed(list(zip(MEMORY_KEYS, arrays, strict=True)))), "shed_s0": arrays[0]}


def test_a_store_contains_copies_of_the_arrays(features, arrays):
    store = store_of_arrays(features, MEMORY_KEYS)
    assert store.keys == MEMORY_KEYS
    assert store.width == 4
    expected = arrays.astype(np.float16).astype(np.float32)
    arrays += 1
    np.testing.assert_array_equal(store.take(np.arange(3)), expected)
    assert store.row("barn", "b0") == 2
    with pytest.raises(ValueError, match="read-only"):
        store.views[0] = 0


def test_a_store_in_memory_pickles_with_its_arrays(features):
    store = store_of_arrays(features, MEMORY_KEYS)
    copy = pickle.loads(pickle.dumps(store))
    assert copy.keys == store.keys
    np.testing.assert_array_equal(copy.views, store.views)


def changed(arrays, value):
    arrays = arrays.copy()
    arrays[1, 2, 3] = value
    return arrays


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda v: v[:2], r"shape \(2, 36, 4\), but must be \(3, 36, D\).*nav_world\.keys"),
        (lambda v: v[0], r"shape \(36, 4\), but must be \(3, 36, D\)"),
        (lambda v: v[:, :35], r"'attic_a0' have shape \(35, 4\).*\(36, D\)"),
        (
            lambda v: dict(zip(MEMORY_KEYS[:2], v, strict=False)),
            "1 of 3 viewpoints .*, such as 'barn_b0'",
        ),
        (lambda v: dict(zip("abc", v, strict=True)), "3 of 3 .*keys must be 'scan_viewpoint'"),
        (
            lambda v: {MEMORY_KEYS[0]: v[0, :, :2]} | dict(zip(MEMORY_KEYS[1:], v, strict=False)),
            "widths D",
        ),
        (lambda v: changed(v, np.nan), "'attic_a1' are not all finite float16"),
        (lambda v: changed(v, 1e6), "'attic_a1' are not all finite float16"),
        (lambda v: v.astype(str), "'attic_a0' .*must be numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays, make, message):
    with pytest.raises(ValueError, match=message):
        store_of_arrays(make(arrays), MEMORY_KEYS)


WHOLE = np.random.default_rng(0).normal(size=(9, 36, 4)).astype(np.float16)


@pytest.fixture
def sharded() -> ShardedViews:
    return ShardedViews([WHOLE[:2], WHOLE[2:3], WHOLE[3:]])


@pytest.mark.parametrize(
    "rows",
    [
        0,
        8,
        -1,
        np.array([8, 0, 2, 2, 3]),
        np.array([[1, 2], [8, -9]]),
        np.s_[1:8:3],
        np.array([], int),
    ],
)
def test_rows_equal_those_of_one_array(sharded: ShardedViews, rows):
    np.testing.assert_array_equal(sharded[rows], WHOLE[rows])


def test_iteration_and_conversion_equal_one_array(sharded: ShardedViews):
    assert sharded.shape == WHOLE.shape
    assert len(sharded) == 9
    assert sharded.dtype == np.float16
    np.testing.assert_array_equal(np.asarray(sharded), WHOLE)
    np.testing.assert_array_equal(np.stack(list(sharded)), WHOLE)


def test_rows_out_of_bounds_are_refused(sharded: ShardedViews):
    for rows in (9, np.array([0, 9]), -10):
        with pytest.raises(IndexError):
            sharded[rows]
    with pytest.raises(ValueError, match="without copying"):
        np.asarray(sharded, copy=False)

from pathlib import Path

import numpy as np
import pytest

from clipnav.storage import UnwritableError
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.partial_store import PartialStore
from clipnav.storage.features.store import FeatureStore
from clipnav.storage.features.store_file import SKIPPED
from clipnav.storage.features.view_grid import NUM_VIEWS

KEYS = ["lab_a", "lab_b", "lab_c"]
ROW = np.random.default_rng(0).standard_normal((NUM_VIEWS, 4)).astype(np.float32)


def start(tmp_path: Path) -> PartialStore:
    return PartialStore(tmp_path / "store.safetensors", KEYS, 4, {"encoder": "test"})


def test_skipped_viewpoints_are_recorded_after_resuming(tmp_path: Path):
    first = start(tmp_path)
    first.append(ROW)
    first.append(None)
    first.close()
    second = start(tmp_path)
    assert second.done == 2
    second.append(2 * ROW)
    second.write_store()
    second.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["store.safetensors"]
    store = open_store(tmp_path / "store.safetensors")
    assert store.keys == ["lab_a", "lab_c"]
    assert store.metadata[SKIPPED] == ["lab_b"]
    np.testing.assert_array_equal(store.views[1], (2 * ROW).astype(np.float16))


@pytest.mark.parametrize("name", ["store.hdf5", "store.tsv", "store"])
def test_a_store_with_the_name_of_another_format_is_refused_before_it_is_computed(
    tmp_path: Path, name: str
):
    with pytest.raises(ValueError, match=rf"{name}: .*\.safetensors file; .* convert-features"):
        PartialStore(tmp_path / name, KEYS, 4, {"encoder": "test"})
    with pytest.raises(ValueError, match="convert-features"):
        FeatureStore.write(tmp_path / name, np.stack([ROW] * len(KEYS)), KEYS)
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_features_is_refused(tmp_path: Path):
    partial = start(tmp_path)
    for _ in KEYS:
        partial.append(None)
    with pytest.raises(ValueError, match="all 3 viewpoints were skipped; replace"):
        partial.write_store()
    assert list(tmp_path.iterdir()) == []
    assert start(tmp_path).done == 0  # the next run loads them again


def test_an_unfinished_store_is_refused(tmp_path: Path):
    partial = start(tmp_path)
    partial.append(ROW)
    with pytest.raises(ValueError, match="1 of 3 viewpoints"):
        partial.write_store()


def test_values_outside_float16_are_refused_before_writing(tmp_path: Path):
    partial = start(tmp_path)
    partial.append(ROW)
    for row, problem in [(1e6 * ROW, "finite"), (ROW[:, :3], r"\(36, 3\)")]:
        with pytest.raises(ValueError, match=f"lab_b .*{problem}"):
            partial.append(row)
    partial.close()
    assert start(tmp_path).done == 1


def rows_of(path: Path) -> int:
    """Return the number of rows from which a run resumes."""
    store = start(path)
    store.close()
    return store.done


def with_three_rows(tmp_path: Path) -> Path:
    store = start(tmp_path)
    for number in range(3):
        store.append((1 + number) * ROW)
    store.close()
    return store.path


def test_a_run_resumes_before_the_first_damaged_or_incomplete_row(tmp_path: Path):
    path = with_three_rows(tmp_path)
    whole = path.read_bytes()
    record = 32 + 2 * ROW.size
    assert rows_of(tmp_path) == 3
    for size, intact in [(1, 2), (record - 1, 2), (record, 2), (record + 1, 1)]:
        path.write_bytes(whole[:-size])
        assert rows_of(tmp_path) == intact
        assert path.read_bytes() == whole[: len(whole) - (3 - intact) * record]
    for place in (-1, -record):  # a bit of the row, a bit of its digest
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        assert rows_of(tmp_path) == 2


def test_rows_of_other_viewpoints_are_dropped(tmp_path: Path):
    """Two processes that write one file at the same time leave such rows."""
    path = with_three_rows(tmp_path)
    whole = path.read_bytes()
    record = 32 + 2 * ROW.size
    header, rows = (
        whole[: -3 * record],
        [whole[-3 * record + k * record :][:record] for k in (0, 1)],
    )
    path.write_bytes(header + rows[0] + rows[0] + rows[1] + rows[1])
    assert rows_of(tmp_path) == 1


def test_a_full_disk_keeps_earlier_rows(tmp_path: Path, file_size_limit):
    store = start(tmp_path)
    store.append(ROW)
    intact = store.path.read_bytes()
    with (
        file_size_limit(len(intact) + 100),
        pytest.raises(UnwritableError, match=r"\(File too large\); 1 of 3 viewpoints are saved"),
    ):
        store.append(2 * ROW)
    store.close()
    assert store.path.read_bytes() == intact
    assert rows_of(tmp_path) == 1

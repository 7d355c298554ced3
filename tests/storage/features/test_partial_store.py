from pathlib import Path

import numpy as np
import pytest

from storage.features.partial_store import SKIPPED, PartialStore
from storage.features.store import FeatureStore
from storage.features.view_grid import NUM_VIEWS

KEYS = ["lab_a", "lab_b", "lab_c"]
ROW = np.random.default_rng(0).standard_normal((NUM_VIEWS, 4)).astype(np.float32)


def start(tmp_path: Path) -> PartialStore:
    return PartialStore(tmp_path / "store.safetensors", KEYS, 4, {"encoder": "test"})


def test_viewpoints_that_are_left_out_are_recorded_across_a_resumption(tmp_path: Path):
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
    store = FeatureStore.open(tmp_path / "store.safetensors")
    assert store.keys == ["lab_a", "lab_c"]
    assert store.metadata[SKIPPED] == ["lab_b"]
    np.testing.assert_array_equal(store.views[1], (2 * ROW).astype(np.float16))


def test_a_store_of_nothing_is_refused(tmp_path: Path):
    partial = start(tmp_path)
    for _ in KEYS:
        partial.append(None)
    with pytest.raises(ValueError, match="0 of 3 viewpoints"):
        partial.write_store()
    assert not (tmp_path / "store.safetensors").exists()


def test_an_unfinished_store_is_refused(tmp_path: Path):
    partial = start(tmp_path)
    partial.append(ROW)
    with pytest.raises(ValueError, match="1 of 3 viewpoints"):
        partial.write_store()


def test_what_float16_cannot_hold_is_named_before_it_is_written(tmp_path: Path):
    partial = start(tmp_path)
    partial.append(ROW)
    for row, problem in [(1e6 * ROW, "finite"), (ROW[:, :3], r"\(36, 3\)")]:
        with pytest.raises(ValueError, match=f"lab_b .*{problem}"):
            partial.append(row)
    partial.close()
    assert start(tmp_path).done == 1

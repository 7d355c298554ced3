import gc
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from clipnav.vl_tasks.grids import grid_cache
from clipnav.vl_tasks.grids.grid_cache import FORMAT, GridCache


def grids(count, height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, height, width, 3)).astype(np.float32)


def test_grids_of_several_sizes_are_read_back(tmp_path):
    small, large = grids(2, 2, 3), grids(1, 4, 2, seed=1)
    cache = GridCache(tmp_path / "a", "clip-default")
    cache.add(["x", "y"], small, np.ones((2, 2, 3), bool))
    cache.add(["z"], large, np.ones((1, 4, 2), bool))
    assert "y" in cache
    for one in (cache, GridCache(tmp_path / "a", "clip-default")):
        assert len(one) == 3
        padded, mask = one.read(["z", "y", "z"])
        assert padded.shape == (3, 4, 3, 3)
        assert mask.sum((1, 2)).tolist() == [8, 6, 8]
        np.testing.assert_array_equal(padded[0, :, :2], large[0].astype(np.float16))
        np.testing.assert_array_equal(padded[1, :2], small[1].astype(np.float16))
        assert not padded[1, 2:].any()


def test_errors_name_damaged_and_foreign_shards(tmp_path):
    GridCache(tmp_path, "clip-default").add(["x"], grids(1, 2, 2), np.ones((1, 2, 2), bool))
    path = tmp_path / "00000.safetensors"
    with pytest.raises(ValueError, match=r"contains 'clip-default'.*not 'clip-pad'") as error:
        GridCache(tmp_path, "clip-pad")
    assert str(path) in str(error.value)
    for kept in (0, 9, len(path.read_bytes()) - 1):
        path.write_bytes(path.read_bytes()[:kept])
        with pytest.raises(ValueError, match="damaged") as error:
            GridCache(tmp_path, "clip-default")
        assert str(path) in str(error.value)


@pytest.mark.parametrize("keys", ['["x"]', '"xy"', "[1, 2]", "[" * 100_000, '{"x": 0, "y": 1}'])
def test_errors_name_shards_with_invalid_keys(tmp_path, keys):
    GridCache(tmp_path, "clip-default").add(["x", "y"], grids(2, 2, 2), np.ones((2, 2, 2), bool))
    path = tmp_path / "00000.safetensors"
    tensors, metadata = load_file(path), {"format": FORMAT, "description": "clip-default"}
    save_file(tensors, path, {**metadata, "keys": keys})
    with pytest.raises(ValueError, match=r"00000\.safetensors: damaged"):
        GridCache(tmp_path, "clip-default")


def test_shards_are_never_overwritten(tmp_path):
    one, mask = grids(1, 2, 2), np.ones((1, 2, 2), bool)
    for key in "abc":
        GridCache(tmp_path, "clip-default").add([key], one, mask)
    (tmp_path / "00000.safetensors").unlink()  # the remedy for a damaged shard
    # Two processes that opened the same shards fill one cache.
    first, second = GridCache(tmp_path, "clip-default"), GridCache(tmp_path, "clip-default")
    first.add(["d"], one, mask)
    second.add(["e"], one, mask)
    first.add(["f"], one, mask)
    names = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert names == [f"0000{number}.safetensors" for number in (1, 2, 3, 4, 5)]
    assert [key for key in "abcdef" if key in GridCache(tmp_path, "clip-default")] == list("bcdef")
    assert "e" not in first
    with first.locked():
        assert "e" in first
    assert len(list(tmp_path.iterdir())) == len(names)


def test_caches_of_many_shards_hold_few_descriptors(tmp_path, monkeypatch):
    def descriptors() -> int:
        gc.collect()  # closes those of caches that are not used any more
        return len(os.listdir("/dev/fd"))

    monkeypatch.setattr(grid_cache, "_MOST_MAPPED", 4)
    names = [str(number) for number in range(30)]
    expected = np.concatenate([grids(1, 2, 2, number) for number in range(30)])
    before = descriptors()
    cache = GridCache(tmp_path, "clip-default")
    for number, name in enumerate(names):
        cache.add([name], grids(1, 2, 2, number), np.ones((1, 2, 2), bool))
    assert descriptors() - before <= 4
    for one in (cache, GridCache(tmp_path, "clip-default")):
        padded, _ = one.read(names[::-1] + names)
        assert descriptors() - before <= 8  # of both caches
        np.testing.assert_array_equal(padded[30:], expected.astype(np.float16))
        np.testing.assert_array_equal(padded[:30], padded[:29:-1])


def test_values_out_of_range_of_float16_are_refused(tmp_path):
    cache = GridCache(tmp_path, "clip-default")
    with pytest.raises(ValueError, match=r"too large for float16; .* --grids\.no-keep"):
        cache.add(["x"], np.full((1, 1, 1, 3), 1e5), np.ones((1, 1, 1), bool))
    assert not list(tmp_path.iterdir())


def test_disk_space_is_checked_before_writing(tmp_path, monkeypatch):
    cache = GridCache(tmp_path / "not" / "yet", "clip-default")
    some = grids(2, 10, 10), np.ones((2, 10, 10), bool)
    bytes_per_image = 10 * 10 * (3 * 2 + 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5 * bytes_per_image))
    cache.check_disk_space(5, *some)
    with pytest.raises(OSError, match=r"features of 6 images .* CLIPNAV_CACHE to .*no-keep"):
        cache.check_disk_space(6, *some)
    assert not list(tmp_path.iterdir())

import pickle

import numpy as np
import pytest

from clipnav.envs.navigation.stored_features import WideningReader, stored_tensors
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.shards import Shard
from clipnav.storage.features.store import FeatureStore, ShardedViews


def make_store(path, views):
    keys = [f"scan_{row}" for row in range(len(views))]
    FeatureStore.write(path, views, keys, {"encoder": "test"})
    return open_store(path)


# The widths of CLIP models and of ResNet-152, and one for which even a single view is large.
@pytest.mark.parametrize("width", [1, 512, 640, 1024, 2048, 33_000])
def test_reads_the_values_of_the_store(tmp_path, width):
    rng = np.random.default_rng(width)
    count = 5 if width < 10_000 else 2
    store = make_store(
        tmp_path / "s.safetensors", rng.standard_normal((count, 36, width), dtype=np.float32)
    )
    rows = rng.integers(0, count, 4)
    target = np.full((4, 36, width + 8), 7.0, dtype=np.float32)
    WideningReader(store).read(rows, target)
    np.testing.assert_array_equal(target[..., :width], store.views[rows].astype(np.float32))
    assert (target[..., width:] == 7).all()


def test_every_finite_float16_keeps_its_value_and_sign(tmp_path):
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = np.resize(halves[np.isfinite(halves)], (36 * 1764,)).reshape(1, 36, -1)
    store = make_store(tmp_path / "s.safetensors", halves)
    target = np.empty(halves.shape, dtype=np.float32)
    WideningReader(store).read(np.array([0]), target)
    np.testing.assert_array_equal(target, halves.astype(np.float32))
    np.testing.assert_array_equal(np.signbit(target), np.signbit(halves))


def test_shards_are_read_without_copies(tmp_path):
    rng = np.random.default_rng(0)
    views = rng.standard_normal((7, 36, 16)).astype(np.float16)
    keys = [f"scan_{row}" for row in range(7)]
    output = tmp_path / "store.safetensors"
    for index in range(3):
        part = Shard(index, 3)
        rows = [keys.index(key) for key in part.part(keys)]
        FeatureStore.write(part.path(output), views[rows], part.part(keys), {"encoder": "test"})
    store = open_store(output)
    rows = rng.integers(0, 7, 20)
    target = np.empty((20, 36, 16), dtype=np.float32)
    WideningReader(store).read(rows, target)
    np.testing.assert_array_equal(target, views[rows].astype(np.float32))
    tensors = stored_tensors(store)
    assert [len(tensor) for tensor in tensors] == [2, 2, 3]
    assert isinstance(store.views, ShardedViews)
    for tensor, part in zip(tensors, store.views.parts, strict=True):
        assert np.shares_memory(tensor.numpy(), part)
        assert not part.flags.writeable  # a read-only memory map


def test_its_pickle_contains_the_store_path_only(tmp_path):
    store = make_store(tmp_path / "s.safetensors", np.ones((50, 36, 64), dtype=np.float32))
    raw = pickle.dumps(WideningReader(store))
    assert len(raw) < 1000
    target = np.empty((1, 36, 64), dtype=np.float32)
    pickle.loads(raw).read(np.array([3]), target)
    assert (target == 1).all()


def test_non_finite_features_are_refused_on_first_read(tmp_path):
    store = make_store(tmp_path / "s.safetensors", np.ones((3, 36, 4), np.float32))
    raw = bytearray(store.path.read_bytes())
    raw[-2:] = np.float16("nan").tobytes()
    store.path.write_bytes(raw)
    reader, target = WideningReader(store), np.empty((2, 36, 4), np.float32)
    for _ in range(2):
        reader.read(np.array([0, 1]), target)
        with pytest.raises(ValueError, match="features of viewpoint 2 of scan scan are not all"):
            reader.read(np.array([1, 2]), target)

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from encoders.clip import ClipEncoder
from encoders.extraction import encode_viewpoints
from encoders.feature_store import NUM_VIEWS, FeatureStore

KEYS = ["house_00_a", "house_00_b", "house_01_c"]


@pytest.fixture(scope="module")
def encoder(tiny_resnet: Path) -> ClipEncoder:
    return ClipEncoder.load(str(tiny_resnet), device="cpu")


def views_of(key: str) -> np.ndarray:
    rng = np.random.default_rng(list(key.encode()))
    return rng.integers(0, 256, (NUM_VIEWS, 64, 64, 3)).astype(np.uint8)


class Loader:
    """Yields views and remembers for which viewpoints; breaks off after `limit` of them."""

    def __init__(self, limit: int = 99):
        self.loaded: list[str] = []
        self.limit = limit

    def __call__(self, keys: Sequence[str]) -> Iterator[np.ndarray]:
        for key in keys:
            if len(self.loaded) == self.limit:
                raise KeyboardInterrupt
            self.loaded.append(key)
            yield views_of(key)


def test_rows_are_the_pooled_features_of_their_views(encoder: ClipEncoder, tmp_path: Path):
    path = tmp_path / "store.safetensors"
    encode_viewpoints(KEYS, Loader(), encoder, path, {"vfov_degrees": 60})
    store = FeatureStore.open(path, expected_width=encoder.embed_dim)
    assert store.keys == KEYS
    assert store.metadata["weights_sha256"] == encoder.weights_sha256
    assert store.metadata["vfov_degrees"] == 60
    expected = encoder.pooled(views_of(KEYS[1]))
    np.testing.assert_allclose(store.take(np.array([1]))[0], expected, rtol=2e-3, atol=1e-3)
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_run_goes_on_where_it_stopped(encoder: ClipEncoder, tmp_path: Path):
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    encode_viewpoints(KEYS, Loader(), encoder, whole)
    with pytest.raises(KeyboardInterrupt):
        encode_viewpoints(KEYS, Loader(limit=2), encoder, broken)
    assert not broken.exists()
    with (tmp_path / "broken.safetensors.partial").open("ab") as file:
        file.write(b"half a row")
    rest = Loader()
    encode_viewpoints(KEYS, rest, encoder, broken)
    assert rest.loaded == KEYS[2:]
    assert broken.read_bytes() == whole.read_bytes()


def test_the_remains_of_another_run_are_refused(encoder: ClipEncoder, tmp_path: Path):
    path = tmp_path / "store.safetensors"
    with pytest.raises(KeyboardInterrupt):
        encode_viewpoints(KEYS, Loader(limit=1), encoder, path, {"vfov_degrees": 60})
    with pytest.raises(ValueError, match=r"partial holds .*60.*75.*delete it"):
        encode_viewpoints(KEYS, Loader(), encoder, path, {"vfov_degrees": 75})


def test_a_loader_that_yields_too_little_is_an_error(encoder: ClipEncoder, tmp_path: Path):
    with pytest.raises(ValueError, match="shorter"):
        encode_viewpoints(
            KEYS, lambda keys: map(views_of, keys[:1]), encoder, tmp_path / "store.safetensors"
        )
    assert not (tmp_path / "store.safetensors").exists()

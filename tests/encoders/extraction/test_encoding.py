from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.extraction.encoding import encode_viewpoints_with
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.store import FeatureStore
from clipnav.storage.features.view_grid import NUM_VIEWS
from clipnav.storage.locks import OutputInUseError

KEYS = ["house_00_a", "house_00_b", "house_01_c"]


@pytest.fixture(scope="module")
def encoder(tiny_resnet: Path) -> ClipEncoder:
    return ClipEncoder.load(str(tiny_resnet), device="cpu")


def views_of(key: str) -> np.ndarray:
    rng = np.random.default_rng(list(key.encode()))
    return rng.integers(0, 256, (NUM_VIEWS, 64, 64, 3)).astype(np.uint8)


class Loader:
    """Loader of views that records its viewpoints; it is interrupted after `limit` of them."""

    def __init__(self, limit: int = 99):
        self.loaded: list[str] = []
        self.limit = limit

    def __call__(self, keys: Sequence[str]) -> Iterator[np.ndarray]:
        for key in keys:
            if len(self.loaded) == self.limit:
                raise KeyboardInterrupt
            self.loaded.append(key)
            yield views_of(key)


def encode_viewpoints(keys, load, encoder, path, metadata=None):
    """Encode viewpoints with one encoder."""
    encode_viewpoints_with(keys, load, {path: encoder}, metadata)


def test_an_interrupted_run_resumes_where_it_stopped(encoder: ClipEncoder, tmp_path: Path):
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


def test_a_second_writer_is_refused(encoder: ClipEncoder, tmp_path: Path, locked_elsewhere):
    path, loader = tmp_path / "store.safetensors", Loader()
    with (
        locked_elsewhere(path) as other,
        pytest.raises(OutputInUseError, match=rf"store.safetensors: process {other.pid} "),
    ):
        encode_viewpoints(KEYS, loader, encoder, path)
    assert not loader.loaded
    assert not list(tmp_path.iterdir())


def test_a_partial_file_of_another_run_is_refused(encoder: ClipEncoder, tmp_path: Path):
    path = tmp_path / "store.safetensors"
    with pytest.raises(KeyboardInterrupt):
        encode_viewpoints(KEYS, Loader(limit=1), encoder, path, {"vfov_degrees": 60})
    with pytest.raises(ValueError, match=r"partial: belongs to .*60.*75.*move the file away"):
        encode_viewpoints(KEYS, Loader(), encoder, path, {"vfov_degrees": 75})


@pytest.fixture(scope="module")
def other_encoder(tiny_transformer: Path) -> ClipEncoder:
    return ClipEncoder.load(str(tiny_transformer), device="cpu")


def test_encoders_share_views_and_write_the_same_bytes_as_alone(
    encoder: ClipEncoder, other_encoder: ClipEncoder, tmp_path: Path
):
    together = {tmp_path / "a.safetensors": encoder, tmp_path / "b.safetensors": other_encoder}
    loader = Loader()
    encode_viewpoints_with(KEYS, loader, together, {"vfov_degrees": 60})
    assert loader.loaded == KEYS
    for path, one in together.items():
        alone = tmp_path / f"alone_{path.name}"
        encode_viewpoints(KEYS, Loader(), one, alone, {"vfov_degrees": 60})
        assert path.read_bytes() == alone.read_bytes()
    assert not list(tmp_path.glob("*.partial"))


def test_a_run_killed_while_writing_its_stores_loads_no_views_again(
    encoder: ClipEncoder, other_encoder: ClipEncoder, tmp_path: Path, monkeypatch
):
    together = {tmp_path / "a.safetensors": encoder, tmp_path / "b.safetensors": other_encoder}
    write = FeatureStore.write

    def dying(path, *arguments):
        if path.name == "b.safetensors":
            raise KeyboardInterrupt
        write(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "write", dying)
        with pytest.raises(KeyboardInterrupt):
            encode_viewpoints_with(KEYS, Loader(), together)
    again = Loader(limit=0)
    encode_viewpoints_with(KEYS, again, together)
    assert [open_store(path).keys for path in together] == [KEYS, KEYS]
    assert not list(tmp_path.glob("*.partial"))


def test_encoders_of_different_sizes_are_refused(encoder: ClipEncoder, tmp_path: Path):
    house_clip = ClipEncoder.load("house_clip", device="cpu")
    with pytest.raises(ValueError, match=r"one input size.* tiny 64 x 64, house_clip 192 x 192"):
        encode_viewpoints_with(
            KEYS, Loader(), {tmp_path / "a": encoder, tmp_path / "b": house_clip}
        )
    with pytest.raises(ValueError, match="none"):
        encode_viewpoints_with(KEYS, Loader(), {})

"""The feature store in the repository matches the houses and the encoder in the repository."""

from pathlib import Path

import numpy as np
import pytest

from clipnav.connectivity import CONNECTIVITY_DIR
from clipnav.encoders.clip import ClipEncoder
from clipnav.envs.houses.building.sets import MINI
from clipnav.envs.houses.house_set import UNSEEN_SCANS
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.store import FeatureStore

STORE = MINI.data_dir / "house_clip_features.safetensors"
SCAN = UNSEEN_SCANS[0]


@pytest.fixture(scope="module")
def encoder() -> ClipEncoder:
    return ClipEncoder.load("house_clip", device="cpu")


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    return open_store(STORE)


def test_the_store_is_from_this_encoder_and_covers_every_house(
    store: FeatureStore, encoder: ClipEncoder
):
    assert store.metadata["weights_sha256"] == encoder.weights_sha256
    assert store.width == encoder.embed_dim
    assert {key.rsplit("_", 1)[0] for key in store.keys} == set(MINI.specs)


@pytest.mark.long
def test_a_rebuilt_house_has_the_shipped_features(
    store: FeatureStore, encoder: ClipEncoder, tmp_path: Path
):
    """Build a house from its seeds, render it and encode it."""
    from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
    from clipnav.envs.panoramas import views36

    panoramas = HousePanoramas(cache_dir=tmp_path, connectivity_dir=CONNECTIVITY_DIR)
    viewpoint = next(key.rsplit("_", 1)[1] for key in store.keys if key.startswith(SCAN))
    shipped = store.take(np.array([store.row(SCAN, viewpoint)]))[0]  # (36, D)
    features = encoder.pooled(views36(panoramas.panorama(SCAN, viewpoint).rgb, encoder.image_size))
    # Other CPUs round some pixels differently; features have a root mean square near 1.
    assert np.abs(features - shipped).mean() < 0.02
    norms = np.linalg.norm(features, axis=1) * np.linalg.norm(shipped, axis=1)
    assert ((features * shipped).sum(1) / norms).min() > 0.99

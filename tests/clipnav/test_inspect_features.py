from pathlib import Path

import numpy as np
import pytest

from clipnav.commands.encoders.inspect_features import layout_matches, reference_matches
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.store import FeatureStore

KEYS = [f"scan_{i}" for i in range(24)]


def smooth_views(seed: int, width: int) -> np.ndarray:
    """(V, 36, D) features that change slowly with the direction, differently at each viewpoint."""
    heading = np.radians(30 * (np.arange(36) % 12))
    elevation = np.radians(30 * (np.arange(36) // 12 - 1))
    x = np.stack([np.sin(heading), np.cos(heading), np.sin(elevation), np.sin(2 * heading)], axis=1)
    world = np.random.default_rng(7).normal(size=(len(KEYS), 4, 6))  # the same for every encoder
    encoder = np.random.default_rng(seed).normal(size=(6, width))
    return np.tanh(x @ world) @ encoder


def write(path: Path, views: np.ndarray) -> FeatureStore:
    FeatureStore.write(path, views, KEYS)
    return open_store(path)


@pytest.mark.parametrize(
    ("rows", "order"),
    [
        (np.arange(36), "as expected"),
        (np.arange(36).reshape(3, 12)[::-1].ravel(), "top,middle,bottom x 12 headings clockwise, "),
        (
            np.arange(36).reshape(3, 12)[:, ::-1].ravel(),
            "bottom,middle,top x 12 headings anticlockwise, heading 0 in column 11",
        ),
        (
            np.roll(np.arange(36).reshape(3, 12), 4, axis=1).ravel(),
            "bottom,middle,top x 12 headings clockwise, heading 0 in column 4",
        ),
    ],
)
def test_reference_matches_infers_the_order_from_another_encoders_store(
    tmp_path: Path, rows: np.ndarray, order: str
):
    reference = write(tmp_path / "reference.safetensors", smooth_views(0, 16))
    views = smooth_views(1, 24)
    store = write(tmp_path / "store.safetensors", views[:, rows])
    best, second = reference_matches(store, reference)[:2]
    assert best.order.startswith(order)
    assert best.agreement > second.agreement + 0.05
    np.testing.assert_array_equal(rows[best.rows], np.arange(36))


def test_layout_matches_distinguishes_columns_from_rings(tmp_path: Path):
    views = smooth_views(2, 16)
    store = write(tmp_path / "rings.safetensors", views)
    assert layout_matches(store)[0].order.startswith("as expected")
    columns = views.reshape(-1, 3, 12, 16).transpose(0, 2, 1, 3).reshape(-1, 36, 16)
    found = layout_matches(write(tmp_path / "columns.safetensors", columns))[0]
    assert found.order == "twelve columns of three elevations"
    np.testing.assert_array_equal(columns[:, found.rows], views)


def test_constant_features_agree_with_no_order(tmp_path: Path):
    store = write(tmp_path / "zeros.safetensors", np.zeros((len(KEYS), 36, 4)))
    assert [match.agreement for match in layout_matches(store)] == [0, 0, 0]


def test_stores_without_a_common_viewpoint_are_refused(tmp_path: Path):
    store = write(tmp_path / "store.safetensors", smooth_views(0, 4))
    FeatureStore.write(tmp_path / "other.safetensors", smooth_views(0, 4)[:1], ["b_0"])
    with pytest.raises(ValueError, match="no viewpoint in common"):
        reference_matches(store, open_store(tmp_path / "other.safetensors"))

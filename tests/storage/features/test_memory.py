import pickle

import numpy as np
import pytest

from clipnav.storage.features.store import store_of_arrays

KEYS = ["attic_a0", "attic_a1", "barn_b0"]


@pytest.fixture
def views():
    return np.random.default_rng(0).standard_normal((3, 36, 4)).astype(np.float32)


@pytest.fixture(params=["mapping", "array"])
def features(request, views):
    if request.param == "array":
        return views
    # The order of a mapping does not matter, and other keys are ignored.
    return {**dict(reversed(list(zip(KEYS, views, strict=True)))), "shed_s0": views[0]}


def test_a_store_contains_copies_of_the_arrays(features, views):
    store = store_of_arrays(features, KEYS)
    assert store.keys == KEYS
    assert store.width == 4
    expected = views.astype(np.float16).astype(np.float32)
    views += 1
    np.testing.assert_array_equal(store.take(np.arange(3)), expected)
    assert store.row("barn", "b0") == 2
    with pytest.raises(ValueError, match="read-only"):
        store.views[0] = 0


def test_a_store_in_memory_pickles_with_its_arrays(features):
    store = store_of_arrays(features, KEYS)
    copy = pickle.loads(pickle.dumps(store))
    assert copy.keys == store.keys
    np.testing.assert_array_equal(copy.views, store.views)


def changed(views, value):
    views = views.copy()
    views[1, 2, 3] = value
    return views


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda v: v[:2], r"shape \(2, 36, 4\), but must be \(3, 36, D\).*nav_world\.keys"),
        (lambda v: v[0], r"shape \(36, 4\), but must be \(3, 36, D\)"),
        (lambda v: v[:, :35], r"'attic_a0' have shape \(35, 4\).*\(36, D\)"),
        (lambda v: dict(zip(KEYS[:2], v, strict=False)), "1 of 3 viewpoints .*, such as 'barn_b0'"),
        (lambda v: dict(zip("abc", v, strict=True)), "3 of 3 .*keys must be 'scan_viewpoint'"),
        (lambda v: {KEYS[0]: v[0, :, :2]} | dict(zip(KEYS[1:], v, strict=False)), "widths D"),
        (lambda v: changed(v, np.nan), "'attic_a1' are not all finite float16"),
        (lambda v: changed(v, 1e6), "'attic_a1' are not all finite float16"),
        (lambda v: v.astype(str), "'attic_a0' .*must be numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(views, make, message):
    with pytest.raises(ValueError, match=message):
        store_of_arrays(make(views), KEYS)

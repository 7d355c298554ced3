import numpy as np
import pytest

from clipnav.storage.features.store import ShardedViews

WHOLE = np.random.default_rng(0).normal(size=(9, 36, 4)).astype(np.float16)


@pytest.fixture
def views() -> ShardedViews:
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
def test_rows_equal_those_of_one_array(views: ShardedViews, rows):
    np.testing.assert_array_equal(views[rows], WHOLE[rows])


def test_iteration_and_conversion_equal_one_array(views: ShardedViews):
    assert views.shape == WHOLE.shape
    assert len(views) == 9
    assert views.dtype == np.float16
    np.testing.assert_array_equal(np.asarray(views), WHOLE)
    np.testing.assert_array_equal(np.stack(list(views)), WHOLE)


def test_rows_out_of_bounds_are_refused(views: ShardedViews):
    for rows in (9, np.array([0, 9]), -10):
        with pytest.raises(IndexError):
            views[rows]
    with pytest.raises(ValueError, match="without copying"):
        np.asarray(views, copy=False)

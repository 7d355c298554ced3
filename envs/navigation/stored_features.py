"""The numbers of a feature store as torch tensors, and their copies as float32.

numpy converts float16 number by number; torch has the processor do sixteen at once. torch loads
where it is needed: an environment that only tells indices and directions does without.
"""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.features.sharded_views import ShardedViews
from storage.features.store import FeatureStore
from storage.features.view_grid import NUM_VIEWS

if TYPE_CHECKING:
    from torch import Tensor

# torch shares larger copies out among threads, which cost more than they bring here: they wait for
# each other in a loop (GRAIN_SIZE in ATen/Parallel.h).
_MOST_AT_ONCE = 32_767


def stored_tensors(store: FeatureStore) -> "list[Tensor]":
    """(V, 36, D) float16 views of the memory maps, one for each file of the store.

    They must not be written to.
    """
    import torch

    views = store.views
    parts = views.parts if isinstance(views, ShardedViews) else [np.asarray(views)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return [torch.from_numpy(part) for part in parts]


class WideningReader:
    """Copies float16 features of viewpoints into float32 arrays. Pickles as its store."""

    def __init__(self, store: FeatureStore) -> None:
        """Read from a store."""
        self._store = store
        parts = next(p for p in range(1, NUM_VIEWS + 1) if _fits(p, store.width))
        # Views of a tensor take longer to make than to copy: have them ready.
        self._pieces: list[Tensor] = []
        for views in stored_tensors(store):
            self._pieces += views.reshape(-1, NUM_VIEWS // parts, store.width).unbind(0)
        self._parts = parts

    def read(self, rows: np.ndarray, target: np.ndarray) -> None:
        """Copy features.

        Args:
            rows: (B,) rows of the store.
            target: (B, 36, W) float32, W at least D, of which the first D numbers are written.

        Raises:
            ValueError: The features of a row are not finite; each row is checked the first time.
        """
        import torch

        self._store.check_finite(rows)
        width, parts = self._store.width, self._parts
        pieces = torch.from_numpy(target).view(len(rows) * parts, NUM_VIEWS // parts, -1)
        if parts > 1:
            rows = (parts * rows[:, None] + np.arange(parts)).ravel()
        for piece, row in zip(pieces[..., :width].unbind(0), rows.tolist(), strict=True):
            piece.copy_(self._pieces[row])

    def __reduce__(self) -> tuple[Any, ...]:
        return WideningReader, (self._store,)


def _fits(parts: int, width: int) -> bool:
    """Whether panoramas can be cut into as many equal parts, each small enough for one thread."""
    views = NUM_VIEWS // parts
    return parts == NUM_VIEWS or (views * parts == NUM_VIEWS and views * width <= _MOST_AT_ONCE)

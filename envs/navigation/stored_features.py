"""Feature stores as torch tensors, and copies of their features as float32.

torch converts float16 with vector instructions, numpy one number at a time. torch is imported where
it is used, because an environment that observes indices or directions does not require it.
"""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from clipnav.storage.features.store import FeatureStore, ShardedViews
from clipnav.storage.features.view_grid import NUM_VIEWS

if TYPE_CHECKING:
    from torch import Tensor

# torch distributes larger copies over threads (GRAIN_SIZE in ATen/Parallel.h), whose
# synchronisation costs more than it saves here.
_MOST_AT_ONCE = 32_767


def stored_tensors(store: FeatureStore) -> "list[Tensor]":
    """Return (V, 36, D) float16 tensors over the memory maps, one per file of the store.

    The tensors are read-only.
    """
    views = store.views
    parts = views.parts if isinstance(views, ShardedViews) else [np.asarray(views)]
    return [read_only_tensor(part) for part in parts]


def read_only_tensor(array: np.ndarray) -> "Tensor":
    """Return a tensor over a read-only array, which must not be written to."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


class WideningReader:
    """Copies float16 features of viewpoints into float32 arrays; its pickle contains the store."""

    def __init__(self, store: FeatureStore) -> None:
        """Prepare to read from a store."""
        self._store = store
        parts = next(p for p in range(1, NUM_VIEWS + 1) if _fits(p, store.width))
        # Creating a tensor view takes longer than copying it, so all views are created here.
        self._pieces: list[Tensor] = []
        for views in stored_tensors(store):
            self._pieces += views.reshape(-1, NUM_VIEWS // parts, store.width).unbind(0)
        self._parts = parts

    def read(self, rows: np.ndarray, target: np.ndarray) -> None:
        """Copy features.

        Args:
            rows: (B,) rows of the store.
            target: (B, 36, W) float32 with W >= D; the first D numbers are overwritten.
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
    """Return whether a panorama divides into equal parts that are small enough for one thread."""
    views = NUM_VIEWS // parts
    return parts == NUM_VIEWS or (views * parts == NUM_VIEWS and views * width <= _MOST_AT_ONCE)

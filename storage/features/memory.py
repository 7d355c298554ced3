"""Feature stores over arrays in memory."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from clipnav.storage.errors import UserError
from clipnav.storage.features.store import FeatureStore
from clipnav.storage.features.view_grid import NUM_VIEWS

Arrays = Mapping[str, np.ndarray] | np.ndarray

_NAME = Path("features")


def store_of_arrays(features: Arrays, keys: Sequence[str]) -> FeatureStore:
    """Copy features in memory into a store.

    Args:
        features: Features (36, D) of each viewpoint by its key `scan_viewpoint`; or an array
            (V, 36, D) with the viewpoints in the order of `keys`. Numbers are stored as float16.
        keys: Keys of the V viewpoints of the world.

    Raises:
        UserError: A shape or the number of viewpoints does not fit, a viewpoint is missing, or
            numbers are not finite as float16.
    """
    if isinstance(features, Mapping):
        missing = [key for key in keys if key not in features]
        if missing:
            raise UserError(
                f"features: {len(missing)} of {len(keys)} viewpoints are missing, such as "
                f"{missing[0]!r}; the keys must be 'scan_viewpoint'"
            )
        parts = [_checked(features[key], key) for key in keys]
        widths = sorted({part.shape[1] for part in parts})
        if len(widths) > 1:
            raise UserError(f"features: arrays have different widths D, such as {widths[:2]}")
        views = np.stack(parts)
    else:
        array = np.asarray(features)
        if array.ndim != 3 or len(array) != len(keys):
            raise UserError(
                f"features has shape {array.shape}, but must be ({len(keys)}, {NUM_VIEWS}, D), "
                "with the viewpoints in the order of load_split(...).nav_world.keys; a mapping "
                "from these keys to arrays is safer"
            )
        views = np.stack([_checked(part, key) for part, key in zip(array, keys, strict=True)])
    views.flags.writeable = False
    return FeatureStore(_NAME, list(keys), {}, views)


def _checked(features: np.ndarray, key: str) -> np.ndarray:
    """Return features of a viewpoint as float16."""
    features = np.asarray(features)
    if features.ndim != 2 or len(features) != NUM_VIEWS or features.dtype.kind not in "fiu":
        raise UserError(
            f"features of {key!r} have shape {features.shape} and type {features.dtype}, but must "
            f"be numbers of shape ({NUM_VIEWS}, D)"
        )
    with np.errstate(over="ignore"):
        converted = features.astype(np.float16)
    if not np.isfinite(converted).all():
        raise UserError(f"features of {key!r} are not all finite float16 numbers")
    return converted

"""Reader of the published divisions of VQA v2: mmf's imdb files, pickled NumPy arrays of records.

The pickle is parsed without importing or calling anything that it names.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.storage.errors import UserError, shortened

_REMEDY = (
    "use a file imdb_val2014-PART.npy of reliable_vqa, or divide the split with clipnav "
    "split-questions"
)


class _Array:
    """Stand-in for numpy.ndarray: keeps the items of an array of objects."""

    items: Any = None

    def __setstate__(self, state: Any) -> None:
        self.items = state[4] if isinstance(state, tuple) and len(state) == 5 else None


class _Ignored:
    """Stand-in for numpy.dtype."""

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _reconstruct(*arguments: Any) -> _Array:
    """Stand-in for numpy's function that creates an empty array."""
    return _Array()


_STAND_INS: dict[str, Any] = {
    "_reconstruct": _reconstruct,
    "ndarray": _Array,
    "dtype": _Ignored,
}


class _Unpickler(pickle.Unpickler):
    """Unpickler that resolves NumPy's array types to stand-ins, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "numpy" and name in _STAND_INS:
            return _STAND_INS[name]
        raise pickle.UnpicklingError(f"it contains {module}.{name}")


def read_published_ids(path: Path) -> list[int]:
    """Return the image ids of a published file, sorted."""
    raw = path.read_bytes()
    try:
        records = _records(raw)
    except Exception as error:  # a damaged pickle raises any type
        problem = shortened(str(error) or type(error).__name__, 200)
        raise UserError(f"{path}: not a published division ({problem}); {_REMEDY}") from error
    # The first record describes the file and has no image.
    ids = {one["image_id"] for one in records if isinstance(one, dict) and "image_id" in one}
    if not ids or not all(type(one) is int for one in ids):
        raise UserError(f"{path}: no record has an 'image_id' that is a number; {_REMEDY}")
    return sorted(ids)


def _records(raw: bytes) -> list[Any]:
    """Return the items of a .npy file that contains an array of objects."""
    file = io.BytesIO(raw)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    _, _, dtype = read(file)
    if not dtype.hasobject:
        raise UserError("an array of numbers")
    array = _Unpickler(file).load()
    if not isinstance(array, _Array) or not isinstance(array.items, list):
        raise UserError("not an array of records")
    return array.items

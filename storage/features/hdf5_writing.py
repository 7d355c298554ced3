"""Write features to HDF5, in the layout that HAMT and DUET read."""

import json
from collections.abc import Iterable, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.storage.extras import import_extra


def write_hdf5(
    path: Path, items: Iterable[tuple[str, np.ndarray]], metadata: Mapping[str, Any]
) -> None:
    """Write a data set for each viewpoint.

    Args:
        path: The file to write.
        items: `scan_viewpoint` and features (36, D) of each viewpoint.
        metadata: Values that are stored as JSON in an attribute of the file.

    Raises:
        ModuleNotFoundError: h5py is not installed.
        OSError: The disk is full.
    """
    h5py = import_extra("h5py", "formats", f"{path}: writing HDF5")

    with FileIO(path, "w+") as raw:
        disk = _DeferredErrorFile(raw)
        with h5py.File(disk, "w") as file:
            file.attrs["metadata"] = json.dumps(dict(metadata))
            for key, row in items:
                disk.check()
                dataset = file.create_dataset(key, data=np.asarray(row))
                scan, _, viewpoint = key.rpartition("_")
                dataset.attrs.update({"scanId": scan, "viewpointId": viewpoint})
        disk.check()


class _DeferredErrorFile:
    """A file that stores write errors until `check` raises them.

    HDF5 2.x crashes with a segmentation fault when it closes a file on a full disk.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the stored error."""
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        remaining = memoryview(data)
        try:
            while remaining and self._error is None:
                remaining = remaining[self._file.write(remaining) :]
        except OSError as error:
            self._error = error
        return len(data)

    def truncate(self, size: int) -> int:
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._error = error
        return size

    def flush(self) -> None:
        """Do nothing, as the file has no buffer."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

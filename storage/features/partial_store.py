"""A feature store in the making: a file of finished rows that a killed run leaves behind."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from storage import UnwritableError, atomic_write
from storage.features.store import FeatureStore
from storage.features.view_grid import NUM_VIEWS
from storage.json_files import shortened

SUFFIX = ".partial"
_LONGEST_HEADER = 1 << 20  # bytes
FORMAT = 2
_DIGEST_BYTES = hashlib.sha256().digest_size
# Of viewpoints that were left out, in the metadata of a store.
SKIPPED = "skipped_viewpoints"


class PartialStore:
    """Rows of a store that is not finished, in `<path>.partial`.

    The file has one line of JSON that says of what run it is, then records in the order of the
    keys: the SHA-256 of key and row, and the row in float16. So a record that is torn, damaged or
    of another viewpoint is found; it and all behind it are made again. A row of NaN, which no
    feature is, stands for a viewpoint that is left out. Only who holds the lock of the store may
    write it (`storage.locks`).

    Args:
        path: Where the store shall lie.
        keys: `scan_viewpoint` of each row.
        width: D, numbers that describe a view.
        metadata: What the store shall record.

    Raises:
        ValueError: The file is of another run.
    """

    def __init__(
        self, path: Path, keys: Sequence[str], width: int, metadata: Mapping[str, Any]
    ) -> None:
        self.path = path.with_name(path.name + SUFFIX)
        self._store = path
        self._keys = list(keys)
        self._metadata = dict(metadata)
        self._shape = (NUM_VIEWS, width)
        self._row_bytes = 2 * NUM_VIEWS * width
        digest = hashlib.sha256("\n".join(keys).encode()).hexdigest()
        run = {**metadata, "records": FORMAT, "viewpoints": len(keys), "keys_sha256": digest}
        self._header = json.dumps(run, sort_keys=True).encode() + b"\n"
        self.done = self._rows_done()
        # Without a buffer: a killed process loses no finished row, a full disk is noticed at once.
        self._file = self.path.open("ab", buffering=0)

    def append(self, row: np.ndarray | None) -> None:
        """Add the features (36, D) of the next viewpoint; None leaves it out."""
        if row is None:
            half = np.full(self._shape, np.nan, "<f2")
        else:
            with np.errstate(over="ignore"):
                half = row.astype("<f2")
            self._check(half)
        self._write(self._record(self._keys[self.done], half.tobytes()))
        self.done += 1

    def write_store(self) -> None:
        """Write the store; the partial file stays until `remove`.

        Raises:
            ValueError: Rows are missing or damaged, or all viewpoints were left out.
        """
        self._file.close()
        kept = [bool(np.isfinite(row[0, 0])) for row in self._rows()]
        if len(kept) != len(self._keys) or not any(kept):
            raise ValueError(
                f"{self.path}: {sum(kept)} of {len(self._keys)} viewpoints have features"
            )
        keys = [key for key, there in zip(self._keys, kept, strict=True) if there]
        skipped = [key for key, there in zip(self._keys, kept, strict=True) if not there]
        metadata = {**self._metadata, SKIPPED: skipped} if skipped else self._metadata
        rows = (row for row, there in zip(self._rows(), kept, strict=True) if there)
        FeatureStore.write(self._store, rows, keys, metadata)

    def remove(self) -> None:
        """Remove the partial file."""
        self._file.close()
        self.path.unlink()

    def close(self) -> None:
        """Leave the file for a later run; without rows it would only be in the way of others."""
        self._file.close()
        if self.done == 0:
            self.path.unlink(missing_ok=True)

    def _check(self, row: np.ndarray) -> None:
        where = f"{self._store}: features of {self._keys[self.done]}"
        if row.shape != self._shape:
            raise ValueError(f"{where} have shape {row.shape}, not {self._shape}")
        if not np.isfinite(row).all():
            raise ValueError(f"{where} are not all finite in float16")

    def _rows_done(self) -> int:
        """Start the file, or cut it after its last good row and count those."""
        if not self.path.exists():
            with atomic_write(self.path) as beside:
                beside.write_bytes(self._header)
            return 0
        with self.path.open("rb") as file:
            header = file.readline(_LONGEST_HEADER)
        if header != self._header:
            both = (header, self._header)
            other, own = (shortened(one.decode(errors="replace"), 600) for one in both)
            raise ValueError(
                f"{self.path} holds what another run began: {other!r}, while this one is {own!r}; "
                "finish that run, or move the file away to begin anew"
            )
        rows = sum(1 for _ in self._rows())
        os.truncate(self.path, self._end(rows))
        return rows

    def _end(self, rows: int) -> int:
        """Bytes of the file when it has so many rows."""
        return len(self._header) + rows * (_DIGEST_BYTES + self._row_bytes)

    def _record(self, key: str, row: bytes) -> bytes:
        return hashlib.sha256(key.encode() + b"\n" + row).digest() + row

    def _write(self, record: bytes) -> None:
        """Write a record, or nothing of it."""
        try:
            rest = memoryview(record)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            os.truncate(self.path, self._end(self.done))
            raise UnwritableError(
                f"{self.path}: cannot be written ({error.strerror}); the {self.done} of "
                f"{len(self._keys)} viewpoints before are kept, and the same command goes on there"
            ) from error

    def _rows(self) -> Iterator[np.ndarray]:
        """The rows up to the first record that is not whole, or of another viewpoint."""
        with self.path.open("rb") as file:
            file.seek(len(self._header))
            for key in self._keys:
                record = file.read(_DIGEST_BYTES + self._row_bytes)
                row = record[_DIGEST_BYTES:]
                if len(row) < self._row_bytes or record != self._record(key, row):
                    return
                yield np.frombuffer(row, "<f2").reshape(self._shape)

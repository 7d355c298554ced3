"""Unfinished feature stores: a file of finished rows, from which the next run resumes."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.storage import UnwritableError, atomic_write
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.features.store import FeatureStore
from clipnav.storage.features.store_file import SKIPPED, check_store_name
from clipnav.storage.features.view_grid import NUM_VIEWS

_LONGEST_HEADER = 1 << 20  # bytes
FORMAT = 2
_DIGEST_BYTES = hashlib.sha256().digest_size


def partial_path(store: Path) -> Path:
    """Return the path of the unfinished rows of a store."""
    return store.with_name(store.name + ".partial")


class PartialStore:
    """Rows of an unfinished store, in `<path>.partial`.

    The file contains one line of JSON that identifies the run, then records in the order of the
    keys: the SHA-256 of key and row, and the row in float16. The digest detects a record that is
    incomplete, damaged or of another viewpoint; that record and all later ones are computed again.
    A row of NaN, which no encoder may return, represents a skipped viewpoint. Only the holder of
    the store's lock may write the file (`clipnav.storage.locks`).
    """

    def __init__(
        self,
        path: Path,
        keys: Sequence[str],
        width: int,
        metadata: Mapping[str, Any],
        rows: int = NUM_VIEWS,
    ) -> None:
        check_store_name(path)
        self.path = partial_path(path)
        self._store = path
        self._keys = list(keys)
        self._metadata = dict(metadata)
        self._shape = (rows, width)
        self._row_bytes = 2 * rows * width
        digest = hashlib.sha256("\n".join(keys).encode()).hexdigest()
        run = {**metadata, "records": FORMAT, "viewpoints": len(keys), "keys_sha256": digest}
        self._header = json.dumps(run, sort_keys=True).encode() + b"\n"
        self.done = self._rows_done()
        # Without a buffer, a killed process loses no finished row and a full disk raises at once.
        self._file = self.path.open("ab", buffering=0)

    def append(self, row: np.ndarray | None) -> None:
        """Append the features (36, D) of the next viewpoint; None skips it."""
        if row is None:
            half = np.full(self._shape, np.nan, "<f2")
        else:
            with np.errstate(over="ignore"):
                half = row.astype("<f2")
            where = f"{self._store}: features of {self._keys[self.done]}"
            if row.shape != self._shape:
                raise UserError(f"{where} have shape {row.shape}, not {self._shape}")
            if not np.isfinite(half).all():
                raise UserError(f"{where} are not all finite in float16")
        try:  # the whole record, or none of it
            remaining = memoryview(self._record(self._keys[self.done], half.tobytes()))
            while remaining:
                remaining = remaining[self._file.write(remaining) :]
        except OSError as error:
            os.truncate(self.path, self._end(self.done))
            raise UnwritableError(
                f"{self.path}: cannot be written ({error.strerror}); {self.done} of "
                f"{len(self._keys)} viewpoints are saved: make room and run the same command again"
            ) from error
        self.done += 1

    def finished_rows(self) -> Iterator[np.ndarray]:
        """Yield all rows of a finished run; `remove` deletes the partial file."""
        self._file.close()
        return self._rows()

    def write_store(self) -> None:
        """Write the store; `remove` deletes the partial file."""
        self._file.close()
        kept = [bool(np.isfinite(row[0, 0])) for row in self._rows()]
        if len(kept) == len(self._keys) and not any(kept):
            self.remove()  # so that the next run tries again
            raise UserError(
                f"{self._store}: all {len(kept)} viewpoints were skipped; replace their damaged "
                "files, and run the same command again"
            )
        if len(kept) != len(self._keys):
            raise UserError(
                f"{self.path}: {len(kept)} of {len(self._keys)} viewpoints are saved; run the same "
                "command again"
            )
        keys = [key for key, is_kept in zip(self._keys, kept, strict=True) if is_kept]
        skipped = [key for key, is_kept in zip(self._keys, kept, strict=True) if not is_kept]
        metadata = {**self._metadata, SKIPPED: skipped} if skipped else self._metadata
        rows = (row for row, is_kept in zip(self._rows(), kept, strict=True) if is_kept)
        FeatureStore.write(self._store, rows, keys, metadata)

    def remove(self) -> None:
        """Delete the partial file."""
        self._file.close()
        self.path.unlink()

    def close(self) -> None:
        """Keep the file for a later run; delete it if it has no rows, which no run could reuse."""
        self._file.close()
        if self.done == 0:
            self.path.unlink(missing_ok=True)

    def _rows_done(self) -> int:
        """Create the file, or truncate it after its last intact row; return the number of rows."""
        if not self.path.exists():
            with atomic_write(self.path) as beside:
                beside.write_bytes(self._header)
            return 0
        with self.path.open("rb") as file:
            header = file.readline(_LONGEST_HEADER)
        if header != self._header:
            headers = (header, self._header)
            other, own = (truncate(raw.decode(errors="replace"), 600) for raw in headers)
            raise UserError(
                f"{self.path}: belongs to another run, {other!r}, but this run is {own!r}; finish "
                "that run, or move the file away to start again"
            )
        rows = sum(1 for _ in self._rows())
        os.truncate(self.path, self._end(rows))
        return rows

    def _end(self, rows: int) -> int:
        """Return the size of the file in bytes when it has `rows` rows."""
        return len(self._header) + rows * (_DIGEST_BYTES + self._row_bytes)

    def _record(self, key: str, row: bytes) -> bytes:
        return hashlib.sha256(key.encode() + b"\n" + row).digest() + row

    def _rows(self) -> Iterator[np.ndarray]:
        """Yield the rows up to the first record that is incomplete, damaged or misplaced."""
        with self.path.open("rb") as file:
            file.seek(len(self._header))
            for key in self._keys:
                record = file.read(_DIGEST_BYTES + self._row_bytes)
                row = record[_DIGEST_BYTES:]
                if len(row) < self._row_bytes or record != self._record(key, row):
                    return
                yield np.frombuffer(row, "<f2").reshape(self._shape)

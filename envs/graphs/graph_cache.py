"""Cache of the tables of navigation graphs on disk.

`clipnav.storage.cache_dir() / "graphs"` has one file per graph. Its name is a digest of the
connectivity file, so an outdated file is never read. All files may be deleted at any time.
"""

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from clipnav.storage import atomic_write, cache_dir

# Count up when the meaning of the tables changes.
FORMAT_VERSION = 2
_DIGEST_BYTES = 32


def table_path(content: bytes) -> Path:
    """Return the path of the tables computed from the content of a connectivity file."""
    key = hashlib.sha256(b"%d\n" % FORMAT_VERSION + content).hexdigest()
    return cache_dir() / "graphs" / f"{key}.tables"


def read_tables(path: Path) -> dict[str, np.ndarray] | None:
    """Read the tables of a graph; return None if the file is missing or damaged."""
    from safetensors.numpy import load

    try:
        raw = path.read_bytes()
    except OSError:
        return None
    digest, payload = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    if hashlib.sha256(payload).digest() != digest:
        return None
    return load(payload)


def write_tables(path: Path, tables: Mapping[str, np.ndarray]) -> None:
    """Keep tables for another time; warns where the cache cannot be written."""
    from safetensors.numpy import save

    payload = save({name: np.ascontiguousarray(table) for name, table in tables.items()})
    try:
        with atomic_write(path) as beside:
            beside.write_bytes(hashlib.sha256(payload).digest() + payload)
    except OSError as error:
        warnings.warn(
            f"{path}: navigation graphs cannot be cached ({error}); name another folder in "
            "CLIPNAV_CACHE",
            stacklevel=2,
        )

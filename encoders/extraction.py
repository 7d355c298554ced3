"""Encoding the 36 views of many viewpoints into a feature store, restartable at every row."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from encoders.clip import ClipEncoder
from encoders.feature_store import NUM_VIEWS, FeatureStore

# What is done so far, beside the store: one line of JSON that says of what run, then float16 rows.
_PARTIAL_SUFFIX = ".partial"

Loader = Callable[[Sequence[str]], Iterable[np.ndarray]]


def encode_viewpoints(
    keys: Sequence[str],
    load_views: Loader,
    encoder: ClipEncoder,
    path: str | Path,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Encode viewpoints and write their feature store, showing a bar.

    What an interrupted run finished lies in `<path>.partial`; the same call takes it up again and
    loads the views of the remaining viewpoints only.

    Args:
        keys: `scan_viewpoint` of each row of the store.
        load_views: Given keys, yields the views of each: (36, H, W, 3) uint8 RGB.
        encoder: What encodes them.
        path: Where the store shall lie; an older one there is replaced at the end.
        metadata: What else to record, such as the field of view.

    Raises:
        ValueError: The partial file is of another run, or views have another shape or count.
    """
    from tqdm import tqdm

    path = Path(path)
    described = {**encoder_metadata(encoder), **(metadata or {})}
    partial = _Partial(path.with_name(path.name + _PARTIAL_SUFFIX), keys, described, encoder)
    done = partial.rows_done()
    with (
        tqdm(total=NUM_VIEWS * len(keys), desc=path.name, unit="view") as bar,
        partial.path.open("ab") as file,
    ):
        bar.update(NUM_VIEWS * done)
        for key, views in zip(keys[done:], load_views(keys[done:]), strict=True):
            if views.ndim != 4 or views.shape[0] != NUM_VIEWS:
                raise ValueError(f"{key}: views of shape {views.shape}, not ({NUM_VIEWS}, H, W, 3)")
            file.write(encoder.pooled(views).astype("<f2").tobytes())
            file.flush()
            bar.update(NUM_VIEWS)
    FeatureStore.write(path, partial.rows(), keys, described)
    partial.path.unlink()


def encoder_metadata(encoder: ClipEncoder) -> dict[str, Any]:
    """What a feature store records of the encoder that filled it."""
    return {
        "encoder": encoder.name,
        "weights_sha256": encoder.weights_sha256,
        "precision": encoder.precision,
        "preprocessing": encoder.preprocessing,
        "image_size": list(encoder.image_size),
    }


class _Partial:
    """The file of finished rows."""

    def __init__(
        self, path: Path, keys: Sequence[str], metadata: Mapping[str, Any], encoder: ClipEncoder
    ) -> None:
        self.path = path
        self._shape = (NUM_VIEWS, encoder.embed_dim)
        self._row_bytes = 2 * NUM_VIEWS * encoder.embed_dim
        digest = hashlib.sha256("\n".join(keys).encode()).hexdigest()
        run = {**metadata, "viewpoints": len(keys), "keys_sha256": digest}
        self._header = json.dumps(run, sort_keys=True).encode() + b"\n"

    def rows_done(self) -> int:
        """Start the file, or cut it after its last whole row and count those."""
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(self._header)
            return 0
        with self.path.open("rb") as file:
            header = file.readline()
        if header != self._header:
            raise ValueError(
                f"{self.path} holds what another run began: {header.decode(errors='replace')!r}, "
                f"while this one is {self._header.decode()!r}; delete it to begin anew"
            )
        rows = (self.path.stat().st_size - len(header)) // self._row_bytes
        with self.path.open("r+b") as file:
            file.truncate(len(header) + rows * self._row_bytes)
        return rows

    def rows(self) -> Iterable[np.ndarray]:
        with self.path.open("rb") as file:
            file.seek(len(self._header))
            while row := file.read(self._row_bytes):
                yield np.frombuffer(row, "<f2").reshape(self._shape)

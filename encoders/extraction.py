"""Encoding the 36 views of many viewpoints into a feature store, restartable at every row."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from encoders.clip import ClipEncoder
from encoders.feature_store import NUM_VIEWS
from encoders.partial_store import PartialStore

# Given keys, yields the views of each, (36, H, W, 3) uint8 RGB; None leaves a viewpoint out.
Loader = Callable[[Sequence[str]], Iterable[np.ndarray | None]]
# The same for the features of each, (36, D).
RowMaker = Callable[[Sequence[str]], Iterable[np.ndarray | None]]


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
        load_views: See `Loader`.
        encoder: What encodes them.
        path: Where the store shall lie; an older one there is replaced at the end.
        metadata: What else to record, such as the field of view.

    Raises:
        ValueError: The partial file is of another run, or views have another shape or count.
    """

    def rows(remaining: Sequence[str]) -> Iterator[np.ndarray | None]:
        for key, views in zip(remaining, load_views(remaining), strict=True):
            yield None if views is None else view_features(key, views, encoder)

    described = {**encoder_metadata(encoder), **(metadata or {})}
    write_rows(keys, rows, encoder.embed_dim, path, described)


def view_features(key: str, views: np.ndarray, encoder: ClipEncoder) -> np.ndarray:
    """Features (36, D) float32 of a viewpoint's views (36, H, W, 3).

    Raises:
        ValueError: There are not 36 of them.
    """
    if views.ndim != 4 or views.shape[0] != NUM_VIEWS:
        raise ValueError(f"{key}: views of shape {views.shape}, not ({NUM_VIEWS}, H, W, 3)")
    return encoder.pooled(views)


def write_rows(
    keys: Sequence[str],
    rows: RowMaker,
    width: int,
    path: str | Path,
    metadata: Mapping[str, Any],
) -> None:
    """Write a feature store of rows that are made one after another, showing a bar.

    Args:
        keys: `scan_viewpoint` of each row.
        rows: See `RowMaker`; asked only for what an interrupted run has left to do.
        width: D.
        path: Where the store shall lie.
        metadata: What to record.

    Raises:
        ValueError: As for `encode_viewpoints`.
    """
    from tqdm import tqdm

    path = Path(path)
    partial = PartialStore(path, keys, width, metadata)
    total, done = NUM_VIEWS * len(keys), NUM_VIEWS * partial.done
    with (
        closing(partial),
        tqdm(total=total, initial=done, desc=path.name, unit=" images") as bar,
    ):
        remaining = keys[partial.done :]
        for _, row in zip(remaining, rows(remaining), strict=True):
            partial.append(row)
            bar.update(NUM_VIEWS)
        partial.finish()


def encoder_metadata(encoder: ClipEncoder) -> dict[str, Any]:
    """What a feature store records of the encoder that filled it."""
    return {
        "encoder": encoder.name,
        "weights_sha256": encoder.weights_sha256,
        "precision": encoder.precision,
        "preprocessing": encoder.preprocessing,
        "image_size": list(encoder.image_size),
    }

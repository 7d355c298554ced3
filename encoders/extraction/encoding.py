"""Encoding of the 36 views of many viewpoints into feature stores, resumable at every row."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.encoders.clip import ClipEncoder
from clipnav.storage.errors import UserError
from clipnav.storage.features.partial_store import PartialStore
from clipnav.storage.features.view_grid import NUM_VIEWS
from clipnav.storage.locks import exclusive_lock
from clipnav.storage.progress import progress_bar
from clipnav.training.interruption import interruption_message

# Yields, for each key, the views (36, H, W, 3) uint8 RGB; None skips the viewpoint.
Loader = Callable[[Sequence[str]], Iterable[np.ndarray | None]]
# Maps a key and the data loaded for it to features (36, D).
MakeRow = Callable[[str, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class StoreToFill:
    """A feature store to write.

    Attributes:
        path: File of the store; an existing file is replaced when all rows are complete.
        width: D, the width of a view's features.
        metadata: Metadata of the store.
        make_row: Function that computes a row, see `MakeRow`.
    """

    path: Path
    width: int
    metadata: Mapping[str, Any]
    make_row: MakeRow


def encode_viewpoints_with(
    keys: Sequence[str],
    load_views: Loader,
    encoders: Mapping[Path, ClipEncoder] | Mapping[str, ClipEncoder],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Encode viewpoints, write a feature store for each encoder, and show a progress bar.

    The views of a viewpoint are loaded once for all encoders. An interrupted run keeps its finished
    rows in `<path>.partial`; the same call resumes there and loads only viewpoints that are missing
    in at least one store.

    Args:
        encoders: Encoders by path of their store; existing files are replaced at the end. All
            encoders must have the same input size.
    """
    common_image_size(encoders)
    stores = [
        StoreToFill(
            Path(path),
            encoder.embed_dim,
            {**encoder_metadata(encoder), **(metadata or {})},
            partial(view_features, encoder=encoder),
        )
        for path, encoder in encoders.items()
    ]
    fill_stores(keys, load_views, stores)


def common_image_size(encoders: Mapping[Any, ClipEncoder]) -> tuple[int, int]:
    """Return the input size (height, width) in pixels that all encoders share."""
    sizes = {encoder.image_size: encoder.name for encoder in encoders.values()}
    if len(sizes) != 1:
        listed = ", ".join(f"{name} {size[0]} x {size[1]}" for size, name in sizes.items())
        raise UserError(
            f"encoders that share views must have one input size, but there are: "
            f"{listed or 'none'}; run the command for each encoder"
        )
    return next(iter(sizes))


def view_features(key: str, views: np.ndarray, encoder: ClipEncoder) -> np.ndarray:
    """Encode a viewpoint's views (36, H, W, 3) as features (36, D) float32."""
    if views.ndim != 4 or views.shape[0] != NUM_VIEWS:
        raise UserError(f"{key}: views have shape {views.shape}, not ({NUM_VIEWS}, H, W, 3)")
    return encoder.pooled(views)


def fill_stores(keys: Sequence[str], load: Loader, stores: Sequence[StoreToFill]) -> None:
    """Write feature stores row by row, and show a progress bar.

    Args:
        load: Yields the data of each viewpoint, or None to skip it; called only with the keys that
            an interrupted run has not finished.
    """
    with exclusive_lock(*(store.path for store in stores)), ExitStack() as stack:
        partials = [
            stack.enter_context(
                closing(PartialStore(store.path, keys, store.width, store.metadata))
            )
            for store in stores
        ]
        first = min(rows.done for rows in partials)

        def progress() -> str:
            done, files = min(rows.done for rows in partials), [str(rows.path) for rows in partials]
            return (
                f"{done} of {len(keys)} viewpoints are saved in {', '.join(files)}; the same "
                "command resumes there"
            )

        stack.enter_context(interruption_message(progress))
        names = " ".join(store.path.name for store in stores)
        bar = stack.enter_context(
            progress_bar(
                total=NUM_VIEWS * len(keys),
                initial=NUM_VIEWS * first,
                desc=names,
                unit="images",
            )
        )
        remaining = keys[first:]
        for number, (key, loaded) in enumerate(
            zip(remaining, load(remaining), strict=True), start=first
        ):
            for store, rows in zip(stores, partials, strict=True):
                # A store may be ahead of the others: the last run was killed between two stores, or
                # this one has an additional encoder.
                if rows.done == number:
                    rows.append(None if loaded is None else store.make_row(key, loaded))
            bar.update(NUM_VIEWS)
        for rows in partials:
            rows.write_store()
        # Last, so that a run that is killed earlier need not load views again.
        for rows in partials:
            rows.remove()


def encoder_metadata(encoder: ClipEncoder) -> dict[str, Any]:
    """Return the metadata that identifies an encoder in a feature store."""
    return {
        "encoder": encoder.name,
        "weights_sha256": encoder.weights_sha256,
        "precision": encoder.precision,
        "preprocessing": encoder.preprocessing,
        "image_size": list(encoder.image_size),
    }

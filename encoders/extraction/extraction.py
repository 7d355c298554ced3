"""Encoding the 36 views of many viewpoints into feature stores, restartable at every row."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from encoders.clip import ClipEncoder
from storage.features.partial_store import PartialStore
from storage.features.view_grid import NUM_VIEWS
from storage.locks import sole_writer
from training.interruption import interruption_message

# Given keys, yields the views of each, (36, H, W, 3) uint8 RGB; None leaves a viewpoint out.
Loader = Callable[[Sequence[str]], Iterable[np.ndarray | None]]
# Given a key and what was loaded for it, makes the features (36, D).
MakeRow = Callable[[str, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class StoreToFill:
    """A store that is to be written.

    Attributes:
        path: Where it shall lie; an older one there is replaced at the end.
        width: D.
        metadata: What it records.
        make_row: See `MakeRow`.
    """

    path: Path
    width: int
    metadata: Mapping[str, Any]
    make_row: MakeRow


def encode_viewpoints(
    keys: Sequence[str],
    load_views: Loader,
    encoder: ClipEncoder,
    path: str | Path,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Encode viewpoints with one encoder; see `encode_viewpoints_with`."""
    encode_viewpoints_with(keys, load_views, {Path(path): encoder}, metadata)


def encode_viewpoints_with(
    keys: Sequence[str],
    load_views: Loader,
    encoders: Mapping[Path, ClipEncoder] | Mapping[str, ClipEncoder],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Encode viewpoints and write a feature store for each encoder, showing a bar.

    The views of a viewpoint are loaded once for all encoders. What an interrupted run finished lies
    in `<path>.partial`; the same call takes it up again and loads only viewpoints that some store
    lacks.

    Args:
        keys: `scan_viewpoint` of each row of the stores.
        load_views: See `Loader`.
        encoders: By the path where the store of each shall lie; older ones there are replaced at
            the end. All take pictures of the same size.
        metadata: What else to record, such as the field of view.

    Raises:
        ValueError: Encoders take different sizes, or there are none; a partial file is of another
            run; or views have another shape or count.
        OutputInUseError: Another process fills one of the stores.
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
    """(height, width) in pixels of the pictures that all of some encoders take.

    Raises:
        ValueError: They take different ones, or there are no encoders.
    """
    sizes = {encoder.image_size: encoder.name for encoder in encoders.values()}
    if len(sizes) != 1:
        found = ", ".join(f"{name} {size[0]} x {size[1]}" for size, name in sizes.items())
        raise ValueError(
            f"encoders that share views must take pictures of one size, but here are: "
            f"{found or 'none'}; encode with each of them by itself"
        )
    return next(iter(sizes))


def view_features(key: str, views: np.ndarray, encoder: ClipEncoder) -> np.ndarray:
    """Features (36, D) float32 of a viewpoint's views (36, H, W, 3).

    Raises:
        ValueError: There are not 36 of them.
    """
    if views.ndim != 4 or views.shape[0] != NUM_VIEWS:
        raise ValueError(f"{key}: views of shape {views.shape}, not ({NUM_VIEWS}, H, W, 3)")
    return encoder.pooled(views)


def fill_stores(keys: Sequence[str], load: Loader, stores: Sequence[StoreToFill]) -> None:
    """Write feature stores whose rows are made one after another, showing a bar.

    Args:
        keys: `scan_viewpoint` of each row.
        load: Yields what the rows of a viewpoint are made of, or None to leave it out; asked only
            for what an interrupted run has left to do.
        stores: What to fill.

    Raises:
        ValueError: As for `encode_viewpoints_with`.
        OutputInUseError: Another process fills one of the stores.
    """
    from tqdm import tqdm

    with sole_writer(*(one.path for one in stores)), ExitStack() as stack:
        partials = [
            stack.enter_context(closing(PartialStore(one.path, keys, one.width, one.metadata)))
            for one in stores
        ]
        first = min(one.done for one in partials)
        stack.enter_context(interruption_message(lambda: _kept(partials, len(keys))))
        names = " ".join(one.path.name for one in stores)
        bar = stack.enter_context(
            tqdm(
                total=NUM_VIEWS * len(keys),
                initial=NUM_VIEWS * first,
                desc=names,
                unit=" images",
            )
        )
        remaining = keys[first:]
        for number, (key, loaded) in enumerate(
            zip(remaining, load(remaining), strict=True), start=first
        ):
            for store, rows in zip(stores, partials, strict=True):
                # A store may be ahead: the run was killed between two of them, or is newly asked
                # for.
                if rows.done == number:
                    rows.append(None if loaded is None else store.make_row(key, loaded))
            bar.update(NUM_VIEWS)
        for rows in partials:
            rows.write_store()
        # Only now, so that a run killed before this needs no views again.
        for rows in partials:
            rows.remove()


def _kept(partials: Sequence[PartialStore], total: int) -> str:
    done = min(one.done for one in partials)
    files = ", ".join(str(one.path) for one in partials)
    return f"{done} of {total} viewpoints are kept in {files}; the same command goes on there"


def encoder_metadata(encoder: ClipEncoder) -> dict[str, Any]:
    """What a feature store records of the encoder that filled it."""
    return {
        "encoder": encoder.name,
        "weights_sha256": encoder.weights_sha256,
        "precision": encoder.precision,
        "preprocessing": encoder.preprocessing,
        "image_size": list(encoder.image_size),
    }

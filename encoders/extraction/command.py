"""The command that extracts features: stores, shards and encoders of one call.

On a cluster, Ray Data computes the rows. Ray is an optional dependency: pip install "clipnav[ray]".
If the environment variable RAY_ADDRESS names a running cluster, that cluster is used; otherwise Ray
starts one on this machine.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.extraction.arguments import HOUSE_LABELS, ExtractArguments
from clipnav.encoders.extraction.encoding import (
    StoreToFill,
    common_image_size,
    encode_viewpoints_with,
    encoder_metadata,
    fill_stores,
    view_features,
)
from clipnav.encoders.extraction.view_sources import WIDTH, HouseLabels, ViewSource
from clipnav.encoders.extraction.world_features import (
    Viewpoints,
    chosen_viewpoints,
    load_views,
    view_source,
)
from clipnav.storage.errors import UserError
from clipnav.storage.extras import check_extra
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.partial_store import partial_path
from clipnav.storage.features.shards import Shard, is_finished, merge_shards, other_store
from clipnav.storage.features.store_file import check_store_name
from clipnav.storage.locks import exclusive_lock

# Returns the features (36, D) of one key, or None if its viewpoint is skipped.
Encode = Callable[[str], np.ndarray | None]
_KEYS_PER_TASK = 8


def main(arguments: ExtractArguments) -> None:
    """Run the command."""
    paths = _store_paths(arguments)
    if arguments.merge:
        for path in paths:
            merge_shards(path)
    else:
        shard = Shard.parse(arguments.shard or "0/1")
        paths = [shard.path(path) for path in paths] if arguments.shard else paths
        # Locked first, so that a second process is refused before it loads encoders.
        with exclusive_lock(*paths):
            extract(arguments, paths, shard)
    for path in paths:
        store = open_store(path)
        skipped = store.metadata.get("skipped_viewpoints", ())
        note = f", {len(skipped)} damaged viewpoints skipped: {' '.join(skipped)}"
        print(f"{store}, {path.stat().st_size / 1e6:.1f} MB{note if skipped else ''}")


def _store_paths(arguments: ExtractArguments) -> list[Path]:
    """Return the path of each encoder's store."""
    from clipnav.envs.worlds import world_files

    output, folder = arguments.output, arguments.output_dir
    if output is not None and folder is not None:
        raise UserError("--output and --output-dir exclude each other; give one of them")
    if folder is not None:
        suffix = "-random" if arguments.random_weights else ""
        # Windows forbids the colon of "local-dir:".
        names = [Path(name).name.replace(":", "-") for name in arguments.encoder]
        paths = [folder / f"{name}{suffix}.safetensors" for name in names]
        repeated = {path for path in paths if paths.count(path) > 1}
        if repeated:
            raise UserError(
                f"{min(repeated)}: two encoders have this name; run the command for each"
            )
        return paths
    if len(arguments.encoder) != 1:
        raise UserError(
            f"{len(arguments.encoder)} encoders require a folder for their stores; give "
            "--output-dir"
        )
    if output is None and arguments.world == "houses-standard":
        output = world_files("houses-standard").features
    if output is None:
        raise UserError("the path of the feature store is missing; give it with --output")
    check_store_name(output)
    return [output]


def extract(arguments: ExtractArguments, paths: Sequence[Path], shard: Shard) -> None:
    """Encode the viewpoints of a shard into the stores at `paths`, one per encoder.

    Finished stores are kept, so that a cluster can restart all its jobs, and an encoder can be
    added to others.
    """
    if arguments.encoder == (HOUSE_LABELS,):
        _extract_labels(arguments, paths[0], shard)
        return
    if arguments.engine == "ray":
        _check_ray()
    encoders = dict(zip(paths, _load_encoders(arguments), strict=True))
    source, viewpoints = view_source(arguments, common_image_size(encoders))
    keys = shard.part(list(viewpoints))
    metadata = {**source.metadata, **shard.metadata(list(viewpoints))}
    encoders = {
        path: encoder
        for path, encoder in encoders.items()
        if _is_missing(path, keys, {**encoder_metadata(encoder), **metadata})
    }
    if not encoders:
        return
    if arguments.engine == "ray":
        _extract_with_ray(arguments, keys, source, viewpoints, encoders, metadata)
    else:
        loader = partial(load_views, source, viewpoints, arguments.workers)
        encode_viewpoints_with(keys, loader, encoders, metadata)


def _is_missing(path: Path, keys: Sequence[str], metadata: Mapping[str, object]) -> bool:
    """Return whether a store is unfinished; delete what a run killed at its end left."""
    if is_finished(path, keys, metadata):
        partial_path(path).unlink(missing_ok=True)
        return False
    if path.exists():
        raise FileExistsError(other_store(path))
    return True


def _extract_labels(arguments: ExtractArguments, path: Path, shard: Shard) -> None:
    """Write the features of perfect recognition of the viewpoints of a shard."""
    graphs, viewpoints = chosen_viewpoints(arguments)
    source, keys = HouseLabels(arguments.world, graphs), shard.part(list(viewpoints))
    metadata = {**source.metadata, **shard.metadata(list(viewpoints))}
    if _is_missing(path, keys, metadata):
        store = StoreToFill(path, WIDTH, metadata, lambda _, row: row)
        fill_stores(keys, partial(load_views, source, viewpoints, arguments.workers), [store])


def _extract_with_ray(
    arguments: ExtractArguments,
    keys: Sequence[str],
    source: ViewSource,
    viewpoints: Viewpoints,
    encoders: Mapping[Path, ClipEncoder],
    metadata: Mapping[str, object],
) -> None:
    """Encode viewpoints with one encoder on a Ray cluster.

    `metadata` is that of the views; the store also records that of the encoder.
    """
    ((path, encoder),) = encoders.items()
    # Workers may have other CPUs: they use the precision that "auto" selected here, which the store
    # records.
    resolved = replace(arguments, precision=encoder.precision)
    make_encode = partial(RowEncoder, resolved, source, viewpoints)
    recorded = {**encoder_metadata(encoder), **metadata}
    store = StoreToFill(path, encoder.embed_dim, recorded, lambda _, row: row)

    def rows(missing: Sequence[str]) -> Iterator[np.ndarray | None]:
        source.check_files([viewpoints[key] for key in missing])
        return ray_rows(missing, make_encode, arguments.workers)

    fill_stores(keys, rows, [store])


def _load_encoders(arguments: ExtractArguments) -> list[ClipEncoder]:
    """Load the encoders that the command selects."""
    names, tags = arguments.encoder, arguments.pretrained
    if tags and len(tags) != len(names):
        raise UserError(
            f"--pretrained has {len(tags)} weights for {len(names)} encoders; give one for each, "
            '"none" for a folder'
        )
    return [
        ClipEncoder.load(
            name,
            None if tag == "none" else tag,
            arguments.precision,
            compiled=arguments.compiled,
            random_weights=arguments.random_weights,
        )
        for name, tag in zip(names, tags or ("none",) * len(names), strict=True)
    ]


class RowEncoder:
    """Computation of the features of a key, from loading its views, in a Ray worker."""

    def __init__(
        self, arguments: ExtractArguments, source: ViewSource, viewpoints: Viewpoints
    ) -> None:
        (self._encoder,) = _load_encoders(arguments)
        self._source = source
        self._viewpoints = viewpoints

    def __call__(self, key: str) -> np.ndarray | None:
        """Return features (36, D), or None to skip a damaged skybox."""
        views = self._source.load(self._viewpoints[key])
        return None if views is None else view_features(key, views, self._encoder)


def _check_ray() -> None:
    """Check that Ray is installed."""
    check_extra("ray", "ray", "--engine ray")


def ray_rows(
    keys: Sequence[str], make_encode: Callable[[], Encode], workers: int
) -> Iterator[np.ndarray | None]:
    """Yield the features of each key, in order."""
    _check_ray()
    import ray

    if not keys:
        return
    ray.init(ignore_reinit_error=True)
    # An equal share for each worker; Ray hides the GPUs from workers that do not request any.
    gpus = min(1.0, ray.cluster_resources().get("GPU", 0) / workers)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False  # `fill_stores` shows one
    blocks = -(-len(keys) // _KEYS_PER_TASK)
    dataset = ray.data.from_items([{"key": key} for key in keys], override_num_blocks=blocks)
    encoded = dataset.map_batches(
        _Worker,
        fn_constructor_args=(make_encode,),
        concurrency=workers,
        num_gpus=gpus,
        batch_size=_KEYS_PER_TASK,
    )
    for item in encoded.iter_rows():
        views = item["views"]
        yield np.frombuffer(item["features"], "<f4").reshape(views, -1) if views else None


class _Worker:
    """A Ray actor that holds the encoder, so that it is loaded once."""

    def __init__(self, make_encode: Callable[[], Encode]) -> None:
        self._encode = make_encode()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        rows = [self._encode(str(key)) for key in batch["key"]]
        # Bytes, because Arrow transfers them unchanged.
        return {
            "features": [b"" if row is None else row.astype("<f4").tobytes() for row in rows],
            "views": [0 if row is None else len(row) for row in rows],
        }

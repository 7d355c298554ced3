r"""Encode the 36 views of every viewpoint of a world into a feature store.

$ extract_features.py --output envs/houses/data/house_clip_features.safetensors --precision fp32
$ extract_features.py --world houses-standard
$ extract_features.py --world houses-standard --encoder runs/a runs/b runs/c --output-dir features
$ extract_features.py --world matterport --data-dir data --encoder RN50 --pretrained openai \
    --output features/rn50.safetensors
$ extract_features.py --output features/rn50.safetensors ... --shard 0/4   # and 1/4, 2/4, 3/4
$ extract_features.py --output features/rn50.safetensors --merge

A run that was interrupted goes on where it stopped when the same command is given again.
"""

from complaints import friendly_errors

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import tyro

from training.settings import check_counts

if TYPE_CHECKING:
    from encoders.clip import ClipEncoder
    from encoders.extraction.view_sources import ViewSource
    from storage.features.shards import Shard

Viewpoints = Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class ExtractArguments:
    """Encodes viewpoints into one safetensors file for each encoder."""

    output: Path | None = None
    """Where the feature store shall lie; by default that of houses-standard where its environments
    look for it."""
    output_dir: Path | None = None
    """Folder of the feature stores, each of which is called like its encoder; needed for several
    encoders."""
    world: Literal["houses", "houses-standard", "matterport", "habitat"] = "houses"
    """Where the pictures come from: the built-in houses, or the large set of them, built if they
    are not in the cache; Matterport3D's skyboxes; or 3D models drawn by habitat-sim, the built-in
    houses' without --pictures."""
    data_dir: Path | None = None
    """Folder with matterport/connectivity/, for matterport and for 3D models of its buildings."""
    pictures: Path | None = None
    """Folder of the scans with skyboxes, by default DATA_DIR/matterport/v1/scans; or of the 3D
    models, SCAN.glb or SCAN/SCAN.glb."""
    encoder: tuple[str, ...] = ("house_clip",)
    """"house_clip", a folder in open_clip's local-dir format, or a name that open_clip knows.
    Several that take pictures of one size share the making of the views."""
    pretrained: tuple[str, ...] = ()
    """For open_clip names: a tag such as openai, or a file of weights; of several encoders one for
    each, "none" for a folder."""
    random_weights: bool = False
    """Draw the weights of every encoder instead; the store's name and metadata say so."""
    precision: Literal["auto", "fp32", "medium", "bf16", "fp16"] = "auto"
    """Of the encoder, see docs/encoders.md. auto is fp16 on a GPU, bf16 on a CPU that multiplies it
    in hardware, else medium; name one where a store's parts come from different machines."""
    compiled: bool = False
    """Compile the encoder: a minute at the start and a C++ compiler, for tens of thousands of
    pictures."""
    views: Literal["square", "clip_vil"] = "square"
    """Square RGB views of 60 degrees; or what CLIP-ViL's released features were made from: frames
    of 640 x 480 with red and blue swapped, cut square by CLIP's preprocessing."""
    scans: tuple[str, ...] = ()
    """Scans to encode; all of the world when empty. Of houses "house_00-house_03" is a range."""
    width: int = 1024
    """Columns of the houses' panoramas that views are cut from."""
    full_faces: bool = False
    """Read skyboxes of full size, where there are downsized ones as well."""
    skip_damaged: bool = False
    """Leave out viewpoints with a damaged skybox instead of ending there."""
    workers: int = 2
    """Threads or processes that make views, or encoders of the ray engine. The result does not
    depend on their number."""
    engine: Literal["local", "ray"] = "local"
    """Encode in this process, or over a Ray cluster (needs the extra "ray")."""
    shard: str | None = None
    """Part to encode: i/n with i from 0 to n - 1, or auto under torchrun or Slurm. Part i of n is
    written beside the output."""
    merge: bool = False
    """Put the finished shards beside the output together, and do nothing else."""
    gpu_device_id: int | None = None
    """CUDA device that habitat-sim draws with, -1 for none; its default is 0 if there is one."""

    def __post_init__(self) -> None:
        check_counts(self, ("width", "workers"))


def main(arguments: ExtractArguments) -> None:
    """Run the command."""
    from storage.features.opening import open_store
    from storage.features.shards import Shard, merge_shards
    from storage.locks import sole_writer

    paths = store_paths(arguments)
    if arguments.merge:
        for path in paths:
            merge_shards(path)
    else:
        shard = Shard.parse(arguments.shard or "0/1")
        paths = [shard.path(path) for path in paths] if arguments.shard else paths
        # From the start, so that a second process is refused before it loads encoders.
        with sole_writer(*paths):
            extract(arguments, paths, shard)
    for path in paths:
        store = open_store(path)
        skipped = store.metadata.get("skipped_viewpoints", ())
        left_out = f", {len(skipped)} damaged ones left out: {' '.join(skipped)}" if skipped else ""
        print(f"{store}, {path.stat().st_size / 1e6:.1f} MB{left_out}")


def store_paths(arguments: ExtractArguments) -> list[Path]:
    """Where the store of each encoder shall lie.

    Raises:
        ValueError: Nothing or too much is said of where, or two would lie in one place.
    """
    from envs.worlds import world_files

    output, folder = arguments.output, arguments.output_dir
    if output is not None and folder is not None:
        raise ValueError("--output and --output-dir exclude each other")
    if folder is not None:
        mark = "-random" if arguments.random_weights else ""
        paths = [folder / f"{Path(name).name}{mark}.safetensors" for name in arguments.encoder]
        twice = {path for path in paths if paths.count(path) > 1}
        if twice:
            raise ValueError(f"{min(twice)}: two encoders are called so; encode them one by one")
        return paths
    if len(arguments.encoder) != 1:
        raise ValueError(f"{len(arguments.encoder)} encoders: name --output-dir for their stores")
    if output is None and arguments.world == "houses-standard":
        output = world_files("houses-standard").features
    if output is None:
        raise ValueError("name the feature store with --output")
    return [output]


def extract(arguments: ExtractArguments, paths: Sequence[Path], shard: "Shard") -> None:
    """Encode the shard's viewpoints into the stores at `paths`, one for each encoder."""
    from encoders.extraction.extraction import (
        common_image_size,
        encode_viewpoints_with,
        encoder_metadata,
    )
    from storage.features.shards import is_finished

    encoders = dict(zip(paths, load_encoders(arguments), strict=True))
    source, viewpoints = view_source(arguments, common_image_size(encoders))
    keys = shard.part(list(viewpoints))
    if arguments.shard or len(paths) > 1:
        # What is finished stays, so that a cluster may start all its jobs again, and an encoder
        # may be added to others.
        encoders = {
            path: encoder
            for path, encoder in encoders.items()
            if not is_finished(path, keys, {**encoder_metadata(encoder), **source.metadata})
        }
    if not encoders:
        return
    if arguments.engine == "ray":
        extract_over_ray(arguments, keys, source, viewpoints, encoders)
    else:
        load_views = partial(views_of, source, viewpoints, arguments.workers)
        encode_viewpoints_with(keys, load_views, encoders, source.metadata)


def extract_over_ray(
    arguments: ExtractArguments,
    keys: Sequence[str],
    source: "ViewSource",
    viewpoints: Viewpoints,
    encoders: "Mapping[Path, ClipEncoder]",
) -> None:
    """Encode with one encoder, over a Ray cluster.

    Raises:
        ValueError: There are several.
    """
    from encoders.extraction.extraction import StoreToFill, encoder_metadata, fill_stores
    from encoders.extraction.ray_engine import ray_rows

    if len(arguments.encoder) > 1:
        raise ValueError("--engine ray takes one encoder; run the command for each")
    ((path, encoder),) = encoders.items()
    # The precision that the store records, whatever "auto" would be where the workers are.
    told = replace(arguments, precision=encoder.precision)
    make_encode = partial(RowEncoder, told, source, viewpoints)
    metadata = {**encoder_metadata(encoder), **source.metadata}
    store = StoreToFill(path, encoder.embed_dim, metadata, lambda _, row: row)
    fill_stores(keys, lambda left: ray_rows(left, make_encode, arguments.workers), [store])


def load_encoders(arguments: ExtractArguments) -> "list[ClipEncoder]":
    """The encoders that the command names.

    Raises:
        ValueError: There are neither no weights, nor weights for each.
    """
    from encoders.clip import ClipEncoder

    names, tags = arguments.encoder, arguments.pretrained
    if tags and len(tags) != len(names):
        raise ValueError(f"--pretrained names {len(tags)} weights for {len(names)} encoders")
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


def view_source(
    arguments: ExtractArguments, image_size: tuple[int, int]
) -> tuple["ViewSource", Viewpoints]:
    """Where views come from, and the (scan, viewpoint) of each key of the store."""
    from connectivity import read_connectivity, read_scans
    from encoders.extraction.view_sources import ViewSource
    from envs.worlds import world_files
    from storage.features.store_file import feature_key

    graphs = None
    if arguments.data_dir is not None or arguments.world == "matterport":
        graphs = world_files("matterport", arguments.data_dir).connectivity_dir
    elif arguments.world == "houses-standard":
        files = world_files("houses-standard")
        graphs = files.connectivity_dir
        if not (graphs / "scans.txt").is_file():
            raise FileNotFoundError(f"{graphs}: no navigation graphs yet; {files.remedy}")
    viewpoints = {
        feature_key(scan, record["image_id"]): (scan, record["image_id"])
        for scan in chosen_scans(arguments) or read_scans(graphs)
        for record in read_connectivity(scan, graphs)
        if record["included"]
    }
    source = ViewSource(
        world=arguments.world,
        geometry=arguments.views,
        image_size=image_size,
        width=arguments.width,
        pictures=pictures(arguments, sorted({scan for scan, _ in viewpoints.values()})),
        connectivity_dir=graphs,
        full_faces=arguments.full_faces,
        skip_damaged=arguments.skip_damaged,
        gpu_device_id=arguments.gpu_device_id,
    )
    return source, viewpoints


def chosen_scans(arguments: ExtractArguments) -> Sequence[str]:
    """Scans that are named, ranges of houses written out; none if all are wanted."""
    from envs.houses.building.sets import HOUSE_SETS
    from envs.houses.house_set import expand_scans

    house_sets = {"houses": "mini", "houses-standard": "standard"}
    if arguments.data_dir is not None or arguments.world not in house_sets:
        return arguments.scans
    return expand_scans(arguments.scans, HOUSE_SETS[house_sets[arguments.world]])


def pictures(arguments: ExtractArguments, scans: Sequence[str]) -> Path | None:
    """Folder of the skyboxes or 3D models; the built-in houses' models are made if needed."""
    if arguments.pictures is not None or arguments.world in ("houses", "houses-standard"):
        return arguments.pictures
    if arguments.world == "matterport" and arguments.data_dir is not None:
        return arguments.data_dir / "matterport" / "v1" / "scans"
    if arguments.data_dir is not None:
        raise ValueError("--world habitat with --data-dir needs --pictures, its 3D models")
    from envs.houses.building.house import house_cache_dir
    from envs.houses.rendering.house_panoramas import HousePanoramas
    from envs.panoramas.habitat_panoramas import require_habitat
    from envs.panoramas.habitat_scenes import write_scene_dataset

    require_habitat()  # before the houses are made, which takes minutes
    houses = HousePanoramas()
    for scan in scans:
        houses.house(scan)
    write_scene_dataset(house_cache_dir(), scans)
    return house_cache_dir()


def views_of(
    source: "ViewSource", viewpoints: Viewpoints, workers: int, keys: Sequence[str]
) -> Iterator[np.ndarray | None]:
    """Views of each key, made by threads or processes while the encoder works."""
    from encoders.extraction.prefetch import prefetched

    with source.pool(workers) as pool:
        try:
            # Only a little ahead, so that views do not pile up in memory.
            wanted = (viewpoints[key] for key in keys)
            yield from prefetched(pool, source.load, wanted, 4 * workers)
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "a process that makes views died; habitat-sim does so where its graphics device is "
                "missing: try another --gpu-device-id, -1 for none"
            ) from error


class RowEncoder:
    """Makes the features of a key: the whole work of a worker of the ray engine."""

    def __init__(
        self, arguments: ExtractArguments, source: "ViewSource", viewpoints: Viewpoints
    ) -> None:
        (self._encoder,) = load_encoders(arguments)
        self._source = source
        self._viewpoints = viewpoints

    def __call__(self, key: str) -> np.ndarray | None:
        """Features (36, D), or None for a damaged skybox that may be left out."""
        from encoders.extraction.extraction import view_features

        views = self._source.load(self._viewpoints[key])
        return None if views is None else view_features(key, views, self._encoder)


if __name__ == "__main__":
    with friendly_errors():
        main(tyro.cli(ExtractArguments, description=__doc__))

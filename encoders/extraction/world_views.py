"""Viewpoints and view source of the world that the arguments of the extraction command select."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Protocol

import numpy as np

from clipnav.encoders.extraction.arguments import HOUSE_SETS_OF_WORLDS, ExtractArguments
from clipnav.encoders.extraction.prefetch import prefetched
from clipnav.encoders.extraction.view_sources import ViewSource
from clipnav.storage.errors import UserError

# (scan, viewpoint) by the key of a feature store's row.
Viewpoints = Mapping[str, tuple[str, str]]


class RowSource(Protocol):
    """Source of the rows of a feature store, or of the views that an encoder turns into rows."""

    def check_files(self, viewpoints: Sequence[tuple[str, str]]) -> None:
        """Check that the files of each (scan, viewpoint) exist, without reading them."""
        ...

    def load(self, viewpoint: tuple[str, str]) -> np.ndarray | None:
        """Return the data of a (scan, viewpoint); None to skip it."""
        ...

    def pool(self, workers: int) -> Executor:
        """Return the executor for `load`."""
        ...


def view_source(
    arguments: ExtractArguments, image_size: tuple[int, int]
) -> tuple[ViewSource, Viewpoints]:
    """Build the source of the views, and list the viewpoints to encode.

    Args:
        image_size: (height, width) in pixels of the encoder's input.
    """
    graphs, viewpoints = chosen_viewpoints(arguments)
    source = ViewSource(
        world=arguments.world,
        geometry=arguments.views,
        image_size=image_size,
        width=arguments.panorama_width,
        scan_dir=scan_dir(arguments, sorted({scan for scan, _ in viewpoints.values()})),
        connectivity_dir=graphs,
        full_faces=arguments.full_faces,
        skip_damaged=arguments.skip_damaged,
        gpu_device_id=arguments.gpu_device_id,
    )
    return source, viewpoints


def chosen_viewpoints(arguments: ExtractArguments) -> tuple[Path | None, Viewpoints]:
    """Return the folder of the graphs (None: the built-in houses') and the viewpoints."""
    from clipnav.connectivity import read_connectivity, read_scans
    from clipnav.envs.worlds import world_files
    from clipnav.storage.features.store_file import feature_key

    graphs = None
    if arguments.data_dir is not None or arguments.world == "matterport":
        graphs = world_files("matterport", arguments.data_dir).connectivity_dir
    elif arguments.world == "houses-standard":
        files = world_files("houses-standard")
        graphs = files.connectivity_dir
        if not (graphs / "scans.txt").is_file():
            raise FileNotFoundError(f"{graphs}: no navigation graphs yet; {files.remedy}")
    scans = chosen_scans(arguments)
    for scan in scans:
        if graphs is not None and not (graphs / f"{scan}_connectivity.json").is_file():
            raise FileNotFoundError(
                f"{graphs}: no navigation graph of scan '{scan}'; choose scans of this folder, "
                "which scans.txt lists (--scans)"
            )
    viewpoints = {
        feature_key(scan, record["image_id"]): (scan, record["image_id"])
        for scan in scans or read_scans(graphs)
        for record in read_connectivity(scan, graphs)
        if record["included"]
    }
    return graphs, viewpoints


def chosen_scans(arguments: ExtractArguments) -> Sequence[str]:
    """Return the scans of --scans with ranges of houses expanded; empty for all scans."""
    from clipnav.envs.houses.building.sets import HOUSE_SETS
    from clipnav.envs.houses.house_set import expand_scans

    if arguments.data_dir is not None:
        return arguments.scans
    # Without a data folder, "habitat" renders the viewpoints of the houses of "houses", too.
    house_set = HOUSE_SETS_OF_WORLDS.get(arguments.world, HOUSE_SETS_OF_WORLDS["houses"])
    return expand_scans(arguments.scans, HOUSE_SETS[house_set])


def scan_dir(arguments: ExtractArguments, scans: Sequence[str]) -> Path | None:
    """Return the folder of the skyboxes or 3D models; build missing built-in houses."""
    if arguments.scan_dir is not None or arguments.world in HOUSE_SETS_OF_WORLDS:
        return arguments.scan_dir
    if arguments.world == "matterport" and arguments.data_dir is not None:
        return arguments.data_dir / "matterport" / "v1" / "scans"
    if arguments.data_dir is not None:
        raise UserError(
            "--world habitat with --data-dir requires 3D models; give their folder with --scan-dir"
        )
    from clipnav.envs.habitat.client import habitat_python
    from clipnav.envs.houses.rendering.habitat_export import export_houses

    habitat_python()  # before the houses are built, which takes minutes
    return export_houses(scans)


def load_views(
    source: RowSource, viewpoints: Viewpoints, workers: int, keys: Sequence[str]
) -> Iterator[np.ndarray | None]:
    """Yield the data of each key, loaded by threads or processes while the encoder works.

    With 0 workers, this process loads the data.
    """
    source.check_files([viewpoints[key] for key in keys])
    if not workers:
        yield from (source.load(viewpoints[key]) for key in keys)
        return
    with source.pool(workers) as pool:
        try:
            # The number of views loaded in advance is bounded, because they take memory.
            queued = (viewpoints[key] for key in keys)
            yield from prefetched(pool, source.load, queued, 4 * workers)
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "a process that loads views died; habitat-sim does so if its graphics device is "
                "missing: try another --gpu-device-id, -1 for none"
            ) from error

"""The 36 views of each viewpoint of a world, and feature stores of any model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from clipnav.encoders.extraction.arguments import (
    HOUSE_SETS_OF_WORLDS,
    ExtractArguments,
    SourceWorld,
)
from clipnav.encoders.extraction.encoding import StoreToFill, fill_stores
from clipnav.encoders.extraction.prefetch import prefetched
from clipnav.encoders.extraction.view_sources import ViewSource
from clipnav.envs.arguments import check_choice, picture_size
from clipnav.storage.errors import UserError
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.store import FeatureStore
from clipnav.storage.features.view_grid import NUM_VIEWS

# (scan, viewpoint) by the key of a feature store's row.
Viewpoints = Mapping[str, tuple[str, str]]
Request = TypeVar("Request")
Requested = TypeVar("Requested", contravariant=True)


class RowSource(Protocol[Requested]):
    """Source of the rows of a feature store, or of the views that an encoder turns into rows."""

    def check_files(self, viewpoints: Sequence[Requested]) -> None:
        """Check that the files of each viewpoint exist, without reading them."""
        ...

    def load(self, viewpoint: Requested) -> np.ndarray | None:
        """Return the data of a viewpoint; None to skip it."""
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
            raise FileNotFoundError(f"{graphs}: no navigation graphs yet; {files.hint}")
    scans = _chosen_scans(arguments)
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


def _chosen_scans(arguments: ExtractArguments) -> Sequence[str]:
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
    source: RowSource[Request], viewpoints: Mapping[str, Request], workers: int, keys: Sequence[str]
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


@dataclass(frozen=True)
class WorldViews:
    """The 36 views of each viewpoint of a world, in the order of feature stores.

    Row 12 * band + step is the view at the heading of 30 * step degrees, clockwise from +y. Band 0
    looks 30 degrees down, band 1 is level, band 2 looks 30 degrees up.

    Attributes:
        world: "houses" and "houses-standard" render the built-in houses, "matterport" reads
            skyboxes, "habitat" renders 3D models with habitat-sim.
        data_dir: Data folder of "matterport", see docs/real_data.md.
        scan_dir: Folder of the skyboxes, by default `data_dir/matterport/v1/scans`, or of the 3D
            models of "habitat".
        image_size: (height, width) of a view in pixels. A view is 60 degrees high.
        scans: Scans to list; all scans of the world if empty.

    Raises:
        UserError: A value is out of range.
    """

    world: SourceWorld = "houses"
    data_dir: str | Path | None = None
    scan_dir: str | Path | None = None
    image_size: tuple[int, int] = (224, 224)
    scans: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the world, the size and the scans."""
        check_choice("world", self.world, SourceWorld)
        picture_size("image_size", self.image_size)
        if isinstance(self.scans, str):
            raise UserError(f"scans {self.scans!r} must be a tuple: ({self.scans!r},)")

    @cached_property
    def viewpoints(self) -> list[tuple[str, str]]:
        """(scan, viewpoint) of each viewpoint of the navigation graphs.

        Raises:
            FileNotFoundError: The navigation graph of a scan is missing.
            UserError: The world requires a folder that is not given.
        """
        return list(self._located[1].values())

    def read(self, scan: str, viewpoint: str) -> np.ndarray:
        """Return the views of a viewpoint, (36, height, width, 3) uint8 RGB.

        Raises:
            UnknownNameError: The scan or the viewpoint is unknown.
            FileNotFoundError: An image, a 3D model or the navigation graph is missing.
            UserError: An image is damaged.
        """
        return self._located[0].views(scan, viewpoint)

    def write_features(
        self,
        path: str | Path,
        encode: Callable[[np.ndarray], np.ndarray],
        encoder: str,
        workers: int = 0,
    ) -> FeatureStore:
        """Encode all viewpoints, write a feature store, and show a progress bar.

        An interrupted call keeps its finished rows in `<path>.partial`, and the same call resumes
        there. Delete that file if `encode` has changed but `encoder` has not.

        Args:
            path: The safetensors file; an existing file is replaced at the end.
            encode: Function from the views (36, height, width, 3) uint8 of a viewpoint to their
                features (36, D).
            encoder: Name and version of the model, which is recorded in the store.
            workers: Number of processes (or threads, for "matterport") that load views while
                `encode` runs; 0 loads them in this process. A script that uses processes requires
                `if __name__ == "__main__":`, as for any use of `multiprocessing`.

        Raises:
            UserError: `encode` returns another shape, features are not finite, or the partial file
                was written with other settings.
        """
        source, viewpoints = self._located
        black = np.zeros((NUM_VIEWS, *self.image_size, 3), np.uint8)
        width = _checked(encode(black), "black images").shape[1]
        metadata = {"encoder": encoder, "image_size": list(self.image_size), **source.metadata}
        load = partial(load_views, source, viewpoints, workers)
        store = StoreToFill(
            Path(path), width, metadata, lambda key, views: _checked(encode(views), key)
        )
        fill_stores(list(viewpoints), load, [store])
        return open_store(path)

    @cached_property
    def _located(self) -> tuple[ViewSource, Viewpoints]:
        arguments = ExtractArguments(
            world=self.world,
            data_dir=None if self.data_dir is None else Path(self.data_dir),
            scan_dir=None if self.scan_dir is None else Path(self.scan_dir),
            scans=self.scans,
        )
        return view_source(arguments, self.image_size)


def _checked(features: np.ndarray, key: str) -> np.ndarray:
    features = np.asarray(features)
    if features.ndim != 2 or len(features) != NUM_VIEWS:
        raise UserError(
            f"{key}: encode returned features of shape {features.shape}; it must return "
            f"({NUM_VIEWS}, D)"
        )
    return features

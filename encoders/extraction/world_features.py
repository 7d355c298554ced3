"""The 36 views of each viewpoint of a world, and feature stores of any model."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from clipnav.encoders.extraction.arguments import ExtractArguments, SourceWorld
from clipnav.encoders.extraction.encoding import StoreToFill, fill_stores
from clipnav.encoders.extraction.view_sources import ViewSource
from clipnav.encoders.extraction.world_views import Viewpoints, load_views, view_source
from clipnav.envs.arguments import check_choice, picture_size
from clipnav.storage.errors import UserError
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.store import FeatureStore
from clipnav.storage.features.view_grid import NUM_VIEWS


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

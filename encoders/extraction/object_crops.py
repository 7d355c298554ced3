"""Features of objects: crops of their largest boxes, encoded by any CLIP; resumable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.extraction.encoding import encoder_metadata
from clipnav.encoders.extraction.object_arguments import ObjectArguments
from clipnav.encoders.extraction.view_sources import rendering_processes
from clipnav.encoders.extraction.world_features import load_views
from clipnav.envs.goals.boxes import MARGIN, SeenObject, seen_objects
from clipnav.envs.goals.reverie import boxes_of, read_boxes
from clipnav.envs.panoramas.cameras import perspective_camera, render
from clipnav.envs.panoramas.skyboxes import skybox_files
from clipnav.storage.errors import UserError
from clipnav.storage.features.objects import Objects, write_objects
from clipnav.storage.features.partial_store import PartialStore
from clipnav.storage.locks import exclusive_lock
from clipnav.storage.progress import progress_bar
from clipnav.training.interruption import interruption_message

_BOXES_HINT = "correct the boxes, pass others with --boxes, or choose --scans"


@dataclass(frozen=True, eq=False)
class CropRequest:
    """Crops of a viewpoint to draw.

    Attributes:
        scan: Name of the building.
        viewpoint: Id of the viewpoint.
        crops: (n, 3) heading, elevation and field of view of each crop in radians.
    """

    scan: str
    viewpoint: str
    crops: np.ndarray


@dataclass(frozen=True)
class CropSource:
    """Draws square crops; small and picklable, so that workers can receive it.

    Attributes:
        size: Height and width of a crop in pixels.
        connectivity_dir: Folder of the navigation graphs.
        scan_dir: Folder of the skyboxes; None for the built-in houses.
    """

    size: int
    connectivity_dir: Path
    scan_dir: Path | None = None

    def check_files(self, viewpoints: Sequence[CropRequest]) -> None:
        """Check that each viewpoint has its skybox."""
        if self.scan_dir is not None:
            for request in viewpoints:
                skybox_files(self.scan_dir, request.scan, request.viewpoint, False)

    def load(self, viewpoint: CropRequest) -> np.ndarray:
        """Return the crops (n, size, size, 3) uint8 of a request."""
        if self.scan_dir is not None:
            panoramas = _skyboxes(self)
            return panoramas.crops(viewpoint.scan, viewpoint.viewpoint, viewpoint.crops, self.size)
        houses, shape = _houses(self.connectivity_dir), (self.size, self.size)
        tracer = houses.tracer(viewpoint.scan)
        position = houses.position(viewpoint.scan, viewpoint.viewpoint)
        crops = []
        for heading, elevation, field in viewpoint.crops:
            camera = perspective_camera(shape, heading, elevation, field)
            hits = render(tracer, position, camera, shape, field / self.size)
            crops.append(hits.rgb.reshape(*shape, 3))
        return np.stack(crops)

    def pool(self, workers: int) -> Executor:
        """Return the executor for `load`."""
        return (
            rendering_processes(workers) if self.scan_dir is None else ThreadPoolExecutor(workers)
        )


@lru_cache(maxsize=1)
def _houses(connectivity_dir: Path) -> Any:
    from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas

    return HousePanoramas(connectivity_dir=connectivity_dir)


@lru_cache(maxsize=1)
def _skyboxes(source: CropSource) -> Any:
    from clipnav.envs.panoramas.matterport_panoramas import MatterportPanoramas

    assert source.scan_dir is not None
    return MatterportPanoramas(source.scan_dir, source.connectivity_dir)


def read_seen(arguments: ObjectArguments) -> dict[tuple[str, str], list[SeenObject]]:
    """Return the visible objects of each viewpoint with any, by scan and viewpoint.

    Raises:
        FileNotFoundError: The boxes or a navigation graph are missing.
        UserError: The boxes are damaged, or name a viewpoint that is not in the graph.
    """
    files = arguments.files()
    boxes = arguments.boxes or boxes_of(files.annotations_dir / "reverie")
    graphs = files.connectivity_dir
    known = {path.name.removesuffix("_connectivity.json") for path in graphs.glob("*_conn*.json")}
    scans = set(arguments.scans) or known
    if missing := sorted(scans - known):
        raise FileNotFoundError(
            f"{graphs}: no navigation graph of scan '{missing[0]}'; choose other --scans"
        )
    seen: dict[tuple[str, str], list[SeenObject]] = {}
    for scan, viewpoint, objects in read_boxes(boxes, scans, graphs, _BOXES_HINT):
        place = f"{boxes}: viewpoint {viewpoint}"
        if found := seen_objects(objects, place, _BOXES_HINT):
            seen[scan, viewpoint] = found
    if not seen:
        raise UserError(f"{boxes}: no viewpoint of these scans sees an object; {_BOXES_HINT}")
    return seen


def main(arguments: ObjectArguments) -> None:
    """Run the command."""
    files = arguments.files()
    path = arguments.output or files.own_objects("reverie")
    seen = read_seen(arguments)
    with exclusive_lock(path):
        encoder = ClipEncoder.load(arguments.encoder, arguments.pretrained, arguments.precision)
        extract(path, seen, encoder, arguments)
    count = sum(map(len, seen.values()))
    print(f"{path}: {count} objects at {len(seen)} viewpoints, {path.stat().st_size / 1e6:.1f} MB")


def extract(
    path: Path,
    seen: dict[tuple[str, str], list[SeenObject]],
    encoder: ClipEncoder,
    arguments: ObjectArguments,
) -> None:
    """Encode objects; an interrupted run keeps its finished objects in `<path>.partial`."""
    scan_dir = None
    if arguments.world == "matterport":
        assert arguments.data_dir is not None
        scan_dir = arguments.scan_dir or arguments.data_dir / "matterport" / "v1" / "scans"
    source = CropSource(max(encoder.image_size), arguments.files().connectivity_dir, scan_dir)
    metadata = {**encoder_metadata(encoder), "world": arguments.world, "crop_margin": MARGIN}
    objects = [
        f"{scan}_{viewpoint} {one.object_id} {one.view} {one.box}"
        for (scan, viewpoint), found in seen.items()
        for one in found
    ]
    partial_file = path.with_name(path.name + ".safetensors")  # names <path>.safetensors.partial
    with closing(PartialStore(partial_file, objects, encoder.embed_dim, metadata, rows=1)) as rows:
        requests, first = {}, 0
        for number, ((scan, viewpoint), found) in enumerate(seen.items()):
            done = max(0, rows.done - first)
            first += len(found)
            if done < len(found):
                crops = np.array([one.crop for one in found[done:]])
                requests[str(number)] = CropRequest(scan, viewpoint, crops)
        hint = "the same command resumes there"
        bar = progress_bar(total=len(objects), initial=rows.done, desc=path.name, unit="objects")
        with (
            interruption_message(
                lambda: f"{rows.done} of {len(objects)} objects are saved in {rows.path}; {hint}"
            ),
            bar,
        ):
            load = load_views(source, requests, arguments.workers, list(requests))
            for pictures in load:
                assert pictures is not None
                for feature in encoder.pooled(pictures):
                    rows.append(feature[None])
                bar.update(len(pictures))
        features = rows.finished_rows()
        write_objects(path, [f"{s}_{v}" for s, v in seen], _joined(seen, features), metadata)
        rows.remove()


def _joined(
    seen: dict[tuple[str, str], list[SeenObject]], features: Iterator[np.ndarray]
) -> Iterator[Objects]:
    for found in seen.values():
        yield Objects(
            [one.object_id for one in found],
            [one.name for one in found],
            np.concatenate([next(features) for _ in found]),
            np.array([one.direction for one in found]),
            np.array([one.size for one in found]),
        )

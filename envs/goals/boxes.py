"""SeenObject: an object at a viewpoint by its largest box, and the features of a view for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clipnav.envs.goals.reverie import ViewBoxes, boxes_of, read_boxes
from clipnav.envs.panoramas.cameras import Camera, camera_turn, direction, perspective_camera
from clipnav.envs.panoramas.views import MATTERSIM_SIZE
from clipnav.envs.sharing import files_digest
from clipnav.envs.worlds import WorldFiles
from clipnav.storage import cache_dir
from clipnav.storage.errors import UserError
from clipnav.storage.features.objects import Objects, write_objects
from clipnav.storage.features.view_grid import NUM_VIEWS, VFOV, view_direction
from clipnav.storage.locks import waiting_lock

HEIGHT, WIDTH = MATTERSIM_SIZE
MARGIN = 1.1  # side of a crop by the longer side of the box
SMALLEST, _LARGEST = np.radians(6), np.radians(100)  # field of view of a crop
_FOCAL = HEIGHT / 2 / np.tan(VFOV / 2)  # pixels
_TURNS = np.stack([camera_turn(*view_direction(view)) for view in range(NUM_VIEWS)])  # (36, 3, 3)


@dataclass(frozen=True)
class SeenObject:
    """An object at a viewpoint.

    Attributes:
        object_id: Id of the object.
        name: Name of the object.
        view: View 0..35 of its largest box.
        box: Left, top, width and height of that box in pixels of a view of 640 x 480.
    """

    object_id: str
    name: str
    view: int
    box: tuple[float, float, float, float]

    @classmethod
    def of(
        cls, object_id: str, name: str, towards: Sequence[float], size: Sequence[float]
    ) -> SeenObject:
        """Return an object of a store, which does not record the view of its box.

        Of the views that contain the box, it takes the one with the box farthest from its centre,
        where boxes are largest: in the houses the right view for 92 % of the objects.

        Args:
            towards: Heading and elevation of the centre of the box in radians.
            size: Width and height of the box as fractions of the view.
        """
        width, height = size[0] * WIDTH, size[1] * HEIGHT
        right, ahead, up = (direction(*towards) @ _TURNS).T
        depth = np.maximum(ahead, 1e-6)
        left = WIDTH / 2 + _FOCAL * right / depth - width / 2
        top = HEIGHT / 2 - _FOCAL * up / depth - height / 2
        within = (np.minimum(left, top) >= -1) & (ahead > 0)
        within &= (left + width <= WIDTH + 1) & (top + height <= HEIGHT + 1)
        # Views that cut off a part of the box come last, the nearest one first.
        view = int(np.where(within, ahead, 2 - ahead).argmin())
        return cls(object_id, name, view, (float(left[view]), float(top[view]), width, height))

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the box as fractions of the view."""
        return self.box[2] / WIDTH, self.box[3] / HEIGHT

    @property
    def direction(self) -> tuple[float, float]:
        """Heading in 0..2 pi and elevation of the centre of the box in radians."""
        x, y, z = self._rays[0]
        return float(np.arctan2(x, y) % (2 * np.pi)), float(np.arcsin(z))

    @property
    def corners(self) -> np.ndarray:
        """Heading and elevation (4, 2) of the corners in radians, clockwise from the upper left."""
        left, top, width, height = self.box
        xs, ys = left + width * np.array([0, 1, 1, 0]), top + height * np.array([0, 0, 1, 1])
        x, y, z = self._camera(xs, ys).T
        return np.column_stack([np.arctan2(x, y) % (2 * np.pi), np.arcsin(z)])

    @property
    def crop(self) -> tuple[float, float, float]:
        """Heading, elevation and field of view of a square picture of the box, in radians."""
        centre, *sides = self._rays
        half = max(float(np.arccos(np.clip(centre @ side, -1, 1))) for side in sides)
        field = np.clip(2 * MARGIN * half, SMALLEST, _LARGEST)
        return (*self.direction, float(field))

    @property
    def _rays(self) -> np.ndarray:
        """Directions (5, 3) of the centre and of the middles of the sides of the box."""
        left, top, width, height = self.box
        x, y = left + width / 2, top + height / 2
        xs = np.array([x, left, left + width, x, x])
        ys = np.array([y, y, y, top, top + height])
        return self._camera(xs, ys)

    @property
    def _camera(self) -> Camera:
        return perspective_camera(MATTERSIM_SIZE, *view_direction(self.view), VFOV)


def seen_objects(objects: Mapping[str, ViewBoxes], place: str, hint: str) -> list[SeenObject]:
    """Return the visible objects of a viewpoint; those without views are left out.

    Raises:
        UserError: A box is empty or not within its view; the message begins with the place.
    """
    found = []
    for object_id, boxes in objects.items():
        for box in boxes.bbox2d:
            left, top, width, height = box
            within = 0 <= left and left + width <= WIDTH and 0 <= top and top + height <= HEIGHT
            if not (within and width > 0 and height > 0):
                raise UserError(
                    f"{place}, object {object_id}: box {list(box)} is empty or not within "
                    f"{WIDTH} x {HEIGHT} pixels; {hint}"
                )
        if boxes.visible_pos:
            pairs = zip(boxes.visible_pos, boxes.bbox2d, strict=True)
            view, box = max(pairs, key=lambda pair: pair[1][2] * pair[1][3])
            found.append(SeenObject(object_id, boxes.name, view, box))
    return found


def house_objects(files: WorldFiles) -> Path:
    """Return the objects of the built-in houses, written to the cache on first use.

    The feature of an object is that of the view with its largest box, from the feature store of the
    world, so that nothing is drawn. clipnav extract-object-features encodes crops instead.
    """
    boxes = boxes_of(files.annotations_dir / "reverie")
    features = files.features_path(None)
    assert features is not None
    digest = files_digest([boxes, features])
    path = cache_dir() / "features" / f"{files.world}-objects-{digest}.safetensors"
    with waiting_lock(path):
        if path.is_file():
            return path
        store = files.open_features(None)
        assert store is not None
        scans = {key.rpartition("_")[0] for key in store.keys}
        keys, parts = [], []
        for scan, viewpoint, objects in read_boxes(boxes, scans, files.connectivity_dir):
            found = seen_objects(objects, f"{boxes}: viewpoint {viewpoint}", files.hint)
            views = np.asarray(store.views[store.row(scan, viewpoint)])
            keys.append(f"{scan}_{viewpoint}")
            parts.append(
                Objects(
                    [one.object_id for one in found],
                    [one.name for one in found],
                    views[[one.view for one in found]],
                    np.array([one.direction for one in found]).reshape(-1, 2),
                    np.array([one.size for one in found]).reshape(-1, 2),
                )
            )
        metadata = {"encoder": store.encoder, "object_features": "view with the largest box"}
        write_objects(path, keys, parts, metadata)
    return path

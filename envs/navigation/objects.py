"""Objects that are visible from the viewpoints of a world, as tables and as observations."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from gymnasium import spaces

from clipnav.envs.base.vector_env import Observation
from clipnav.envs.graphs import wrap_angle
from clipnav.envs.graphs.goal import ObjectAnswer
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.sharing import SharedObjects
from clipnav.storage.features.objects import ObjectStore
from clipnav.storage.features.view_grid import VIEW_ELEVATIONS, VIEW_HEADINGS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_LARGEST = float(np.finfo(np.float16).max)  # a store has no larger features


class WorldObjects:
    """Objects of the V viewpoints of a world, at most O at each; read-only.

    O is the largest number in the whole file, so that every split has the same action space. The
    objects of a viewpoint have the order of the file.

    Attributes:
        store: File of the objects.
        rows: (V, O) int64 row of each object in the store; 0 for padding.
        mask: (V, O) bool, False for padding.
        valid: (V, K + O) int8, 1 where an action of `VlnVectorEnv` is valid.
        directions: (V, O, 2) float32 heading and elevation of the boxes in radians, absolute.
        sizes: (V, O, 3) float32 width, height and their product, as fractions of a view.
        ids: (V, O) object array of ids, "" for padding.
    """

    def __init__(self, world: NavWorld, store: ObjectStore) -> None:
        self.store = store
        of_nodes = [
            store.rows(*names) for names in zip(world.scan_names, world.viewpoint_ids, strict=True)
        ]
        shape = len(world), store.most
        self.rows = np.zeros(shape, np.int64)
        self.mask = np.zeros(shape, bool)
        for node, rows in enumerate(of_nodes):
            self.rows[node, : len(rows)] = rows
            self.mask[node, : len(rows)] = True
        self.valid = np.hstack([world.mask, self.mask.view(np.int8)])
        sizes = np.column_stack([store.sizes, store.sizes.prod(1)])
        self.directions, self.sizes = (
            np.zeros((*shape, values.shape[1]), np.float32) for values in (store.directions, sizes)
        )
        self.directions[self.mask] = store.directions[self.rows[self.mask]]
        self.sizes[self.mask] = sizes[self.rows[self.mask]]
        self.ids = np.full(shape, "", dtype=object)
        self.ids[self.mask] = store.ids[self.rows[self.mask]]
        for table in (self.rows, self.mask, self.valid, self.directions, self.sizes, self.ids):
            table.flags.writeable = False

    @property
    def width(self) -> int:
        """D, the numbers per object."""
        return self.store.width

    @property
    def most(self) -> int:
        """O, the largest number of objects at a viewpoint."""
        return self.store.most

    @cached_property
    def names(self) -> np.ndarray:
        """(V, O) object array of the names of the objects, "" where unknown."""
        names = np.full(self.rows.shape, "", dtype=object)
        names[self.mask] = self.store.names[self.rows[self.mask]]
        return names

    def relative(self, nodes: np.ndarray, views: np.ndarray) -> np.ndarray:
        """Return directions (B, O, 2) relative to views 0..35 (B,); zeros for padding.

        As in DUET, both heading (in [-pi, pi)) and elevation are relative to the view.
        """
        facing = np.stack([VIEW_HEADINGS[views], VIEW_ELEVATIONS[views]], 1)[:, None]
        relative = self.directions[nodes] - facing
        relative[..., 0] = wrap_angle(relative[..., 0])
        relative[~self.mask[nodes]] = 0.0
        return relative.astype(np.float32)

    def index(self, node: int, object_id: str | None) -> int:
        """Return the index 0..O - 1 of an object at a viewpoint, -1 if it is not among them."""
        found = np.flatnonzero(self.mask[node] & (self.ids[node] == object_id))
        return int(found[0]) if found.size else -1

    def answer(self, node: int, index: int) -> ObjectAnswer | None:
        """Return the object with an index at a viewpoint; None for -1 and padding."""
        if index < 0 or not self.mask[node, index]:
            return None
        heading, elevation = self.directions[node, index].tolist()
        return ObjectAnswer(str(self.ids[node, index]), heading, elevation)


_SHARED: SharedObjects[WorldObjects] = SharedObjects()


def world_objects(world: NavWorld, store: ObjectStore) -> WorldObjects:
    """Return the objects of a world, shared by all environments that use both."""
    return _SHARED.get((id(world), id(store)), lambda: WorldObjects(world, store))


class ObjectObserver:
    """Observes the objects of the viewpoints at which agents stand."""

    def __init__(self, objects: WorldObjects, has_features: bool) -> None:
        self._objects, self._has_features = objects, has_features
        self._features = np.asarray(objects.store.features)

    def space(self) -> dict[str, spaces.Space[Any]]:
        """Return the spaces of one agent's observation."""
        most, width = self._objects.most, self._objects.width
        turn = np.tile(np.array([np.pi, np.pi], np.float32), (most, 1))
        features = spaces.Box(-_LARGEST, _LARGEST, (most, width), np.float32)
        return {
            **({"objects": features} if self._has_features else {}),
            "object_directions": spaces.Box(-turn, turn, dtype=np.float32),
            "object_sizes": spaces.Box(0.0, 1.0, (most, 3), np.float32),
            "object_mask": spaces.MultiBinary(most),
        }

    def observe(self, nodes: np.ndarray, views: np.ndarray) -> Observation:
        """Return the observations of agents at nodes (B,) that face views (B,), in new arrays."""
        objects = self._objects
        mask = objects.mask[nodes]
        observation = {
            "object_directions": objects.relative(nodes, views),
            "object_sizes": objects.sizes[nodes],
            "object_mask": mask.astype(np.int8),
        }
        if self._has_features:
            features = np.zeros((*mask.shape, objects.width), np.float32)
            features[mask] = self._features[objects.rows[nodes][mask]]
            observation = {"objects": features, **observation}
        return observation


class DeviceObjects:
    """Objects of a world as tensors, from which those of observations are gathered on a device."""

    def __init__(self, objects: WorldObjects, device: "torch.device | str" = "cpu") -> None:
        import torch

        self.objects, self._device = objects, torch.device(device)
        features = np.asarray(objects.store.features)
        # The last row, of zeros, is that of padding.
        table = np.concatenate([features, np.zeros((1, objects.width), features.dtype)])
        self._features = torch.from_numpy(table).to(self._device)
        rows = np.where(objects.mask, objects.rows, len(features))
        self._rows = torch.from_numpy(rows).to(self._device)
        self._directions, self._sizes, self._mask = (
            torch.from_numpy(np.array(part)).to(self._device)
            for part in (objects.directions, objects.sizes, objects.mask)
        )
        facing = np.stack([VIEW_HEADINGS, VIEW_ELEVATIONS], 1)
        self._facing = torch.from_numpy(facing.astype(np.float32)).to(self._device)

    def gather(
        self,
        viewpoints: "np.ndarray | Tensor",
        views: "np.ndarray | Tensor",
        most: int | None = None,
    ) -> "DeviceObjectView":
        """Gather the objects of N observations.

        Args:
            viewpoints: (N,) nodes, `observation["viewpoint"]` or rows of it.
            views: (N,) views 0..35, `observation["view"]` or rows of it.
            most: Number of objects to keep, the first ones; None keeps all O.
        """
        import torch

        nodes, views = (
            torch.as_tensor(values).to(self._device, torch.long) for values in (viewpoints, views)
        )
        mask = self._mask[nodes, :most]
        directions = self._directions[nodes, :most] - self._facing[views][:, None]
        heading = torch.remainder(directions[..., 0] + torch.pi, 2 * torch.pi) - torch.pi
        directions = torch.stack([heading, directions[..., 1]], -1) * mask[..., None]
        features = self._features[self._rows[nodes, :most]].float()
        return DeviceObjectView(features, directions, self._sizes[nodes, :most], mask)


class DeviceObjectView(NamedTuple):
    """Objects of N observations, on the device; zeros for padding.

    Attributes:
        features: (N, O, D) float32.
        directions: (N, O, 2) heading and elevation in radians, relative to the view.
        sizes: (N, O, 3) width, height and their product, as fractions of a view.
        mask: (N, O) bool, False for padding.
    """

    features: "Tensor"
    directions: "Tensor"
    sizes: "Tensor"
    mask: "Tensor"

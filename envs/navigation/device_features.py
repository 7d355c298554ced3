"""DeviceFeatures: features of observations, gathered on the device of a network."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.objects import DeviceObjects
from clipnav.envs.navigation.observations import (
    panorama_angles,
    read_only_tensor,
    stored_tensors,
    view_angles,
)
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage.features.store import FeatureStore
from clipnav.storage.features.view_grid import NUM_HEADINGS, NUM_VIEWS


class DeviceView(NamedTuple):
    """Features of the observations of N agents, on the device.

    Attributes:
        panorama: (N, 36, D + A) float32 features of the views.
        candidates: (N, W, D + A) float32 features of the candidates; row 0 (stop) is zero.
        mask: (N, W) bool, true where an action is valid.
        angle: (N, A) float32 angle feature of the agent's own heading and elevation.
        distances: (N, W) float32 distances to the candidates in metres, 0 for stop.
    """

    panorama: Tensor
    candidates: Tensor
    mask: Tensor
    angle: Tensor
    distances: Tensor


class DeviceFeatures:
    """Features of a world as tensors, from which the features of observations are gathered.

    The features of an environment that observes indices are copied to a GPU once, as float16; each
    step then copies two integers per agent. On the CPU they are read from the file of the store.
    The values equal those of `observe="features"`.

    Attributes:
        width: Size D + A of the feature of a view.
        targets: (V, K) node that each candidate leads to; the node itself for stop and padding.
        objects: Objects of the viewpoints; None without objects.
    """

    def __init__(self, env: VlnVectorEnv, device: torch.device | str = "cpu") -> None:
        world, size = env.nav_world, env.angle_feature_size
        self.targets = world.targets
        self.objects = None if env.objects is None else DeviceObjects(env.objects, device)
        self._repeats = size // 4
        self._device = torch.device(device)
        self._store = self._rows = None
        store = env.feature_store
        if store is not None and self._device.type == "cpu" and len(stored_tensors(store)) == 1:
            # A memory map (N, 36, D); a store in several files has a map for each.
            rows = world.store_rows(store)
            store.check_finite(rows)
            self._store, self._rows = store, torch.from_numpy(rows)
            self._features = stored_tensors(store)[0]
        else:
            self._features = world_features(world, store, self._device)
        self._panorama_angles = self._send(panorama_angles(size))  # (12, 36, A)
        self._own_angles = self._send(view_angles(size))  # (36, A)
        self._candidate_views = self._send(world.views)  # (V, K)
        self._candidate_angles = self._send(world.angles).flatten(0, 1)  # (V * 12, K, 4)
        self._mask = self._send(world.mask.astype(bool))  # (V, K)
        distances = world.distance(np.arange(len(world))[:, None], world.targets)
        self._distances = self._send(distances.astype(np.float32))  # (V, K)
        self._visual = 0 if self._features is None else self._features.shape[2]
        self.width = self._visual + size

    def gather(
        self,
        viewpoints: np.ndarray | Tensor,
        views: np.ndarray | Tensor,
        num_candidates: int | None = None,
    ) -> DeviceView:
        """Gather the features of the observations of N agents.

        Args:
            viewpoints: (N,) nodes, `observation["viewpoint"]` or rows of it.
            views: (N,) views 0..35, `observation["view"]` or rows of it.
            num_candidates: Number of actions W to keep, including stop; None keeps all K. The
                actions beyond W should be invalid for all agents, see
                `observation["action_mask"]`.
        """
        nodes, views = self._index(viewpoints), self._index(views)
        width = self._mask.shape[1] if num_candidates is None else num_candidates
        base = views % NUM_HEADINGS
        mask = self._mask.index_select(0, nodes)[:, :width]  # (N, W)
        visual = self._visual
        # Features and angles are written into one tensor each, without a copy of either alone.
        panorama = torch.empty(len(nodes), NUM_VIEWS, self.width, device=self._device)
        panorama[..., visual:] = self._panorama_angles.index_select(0, base)
        if self._features is not None:
            rows = nodes if self._rows is None else self._rows.index_select(0, nodes)
            panorama[..., :visual] = self._features.index_select(0, rows)
        if self._store is not None:
            self._store.count_read(len(nodes))
        facing = self._candidate_views.index_select(0, nodes)[:, :width]
        rows = torch.arange(len(nodes), device=self._device)[:, None] * NUM_VIEWS + facing
        candidates = panorama.flatten(0, 1).index_select(0, rows.flatten())
        candidates = candidates.view(*rows.shape, self.width)  # (N, W, D + A)
        real = mask.float()  # products with bool are several times as slow
        real[:, 0] = 0.0
        candidates *= real[..., None]
        angles = self._candidate_angles.index_select(0, NUM_HEADINGS * nodes + base)[:, :width]
        candidates[..., visual:] = angles.repeat(1, 1, self._repeats)
        return DeviceView(
            panorama,
            candidates,
            mask,
            angle=self._own_angles.index_select(0, views),
            distances=self._distances.index_select(0, nodes)[:, :width],
        )

    def _index(self, values: np.ndarray | Tensor) -> Tensor:
        return torch.as_tensor(values).to(self._device, torch.long)

    def _send(self, array: np.ndarray) -> Tensor:
        return read_only_tensor(array).to(self._device)


def world_features(
    world: NavWorld, store: FeatureStore | None, device: torch.device
) -> Tensor | None:
    """Return the (V, 36, D) float16 features of the world's viewpoints, in node order."""
    if store is None:
        return None
    rows = world.store_rows(store)
    store.check_finite(rows)
    stored = stored_tensors(store)
    if device.type == "cpu" and len(stored) == 1 and np.array_equal(rows, np.arange(len(store))):
        return stored[0]
    views = torch.from_numpy(np.asarray(store.views[rows]))
    store.count_read(len(rows))
    return views.to(device)

"""Observations: features of the panorama and of the candidates, with their directions."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from gymnasium import spaces

from clipnav.envs.base.vector_env import Observation
from clipnav.envs.graphs.nav_world import NavWorld, angles4
from clipnav.envs.sharing import SharedObjects
from clipnav.storage.errors import UserError
from clipnav.storage.features.store import FeatureStore, ShardedViews
from clipnav.storage.features.view_grid import (
    NUM_HEADINGS,
    NUM_VIEWS,
    STEP,
    VIEW_ELEVATIONS,
    VIEW_HEADINGS,
)

if TYPE_CHECKING:
    from torch import Tensor

# torch distributes larger copies over threads (GRAIN_SIZE in ATen/Parallel.h), whose
# synchronisation costs more than it saves here.
_MOST_AT_ONCE = 32_767
_HEADINGS = VIEW_HEADINGS.astype(np.float32)
_ELEVATIONS = VIEW_ELEVATIONS.astype(np.float32)
Observe = Literal["features", "indices", "rgb", "rgbd", "candidate_rgb", "panorama_rgb"]


def stored_tensors(store: FeatureStore) -> "list[Tensor]":
    """Return (V, 36, D) float16 tensors over the memory maps, one per file of the store.

    The tensors are read-only.
    """
    views = store.views
    parts = views.parts if isinstance(views, ShardedViews) else [np.asarray(views)]
    return [read_only_tensor(part) for part in parts]


def read_only_tensor(array: np.ndarray) -> "Tensor":
    """Return a tensor over a read-only array, which must not be written to."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


class WideningReader:
    """Copies float16 features of viewpoints into float32 arrays; its pickle contains the store."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        # A panorama is copied in the fewest equal parts that are small enough for one thread.
        most = max(_MOST_AT_ONCE // store.width, 1)
        parts = next(n for n in range(1, 37) if NUM_VIEWS % n == 0 and NUM_VIEWS // n <= most)
        # Creating a tensor view takes longer than copying it, so all views are created here.
        self._pieces: list[Tensor] = []
        for views in stored_tensors(store):
            self._pieces += views.reshape(-1, NUM_VIEWS // parts, store.width).unbind(0)
        self._parts = parts

    def read(self, rows: np.ndarray, target: np.ndarray) -> None:
        """Copy features.

        Args:
            rows: (B,) rows of the store.
            target: (B, 36, W) float32 with W >= D; the first D numbers are overwritten.
        """
        import torch

        self._store.check_finite(rows)
        width, parts = self._store.width, self._parts
        pieces = target.reshape(len(rows) * parts, NUM_VIEWS // parts, -1)[..., :width]
        if parts > 1:
            rows = (parts * rows[:, None] + np.arange(parts)).ravel()
        for piece, row in zip(torch.from_numpy(pieces).unbind(0), rows.tolist(), strict=True):
            piece.copy_(self._pieces[row])

    def __reduce__(self) -> tuple[Any, ...]:
        return WideningReader, (self._store,)


def angle_feature(heading: np.ndarray, elevation: np.ndarray, size: int) -> np.ndarray:
    """Return EnvDrop's angle feature: [sin h, cos h, sin e, cos e], repeated (`utils.py`).

    Args:
        heading: (...) headings in radians.
        elevation: (...) elevations in radians.

    Returns:
        (..., size) float32.
    """
    if size < 4 or size % 4:
        raise UserError(f"angle_feature_size {size} is not a positive multiple of 4")
    return np.tile(angles4(heading, elevation), size // 4)


def panorama_angles(size: int) -> np.ndarray:
    """Return the (12, 36, size) float32 angle features of the views relative to 12 headings."""
    views = np.arange(NUM_VIEWS)
    heading = STEP * (views % NUM_HEADINGS - np.arange(NUM_HEADINGS)[:, None])
    elevation = VIEW_ELEVATIONS
    return angle_feature(heading, np.broadcast_to(elevation, heading.shape), size)


def view_angles(size: int) -> np.ndarray:
    """Return the (36, size) float32 angle features of the headings and elevations of the views."""
    return angle_feature(_HEADINGS, _ELEVATIONS, size)


class Observer(Protocol):
    """Writes the observations of a batch of agents, except their instructions."""

    def space(self) -> dict[str, spaces.Space[Any]]:
        """Return the spaces of one agent's observation."""
        ...

    def observe(self, nodes: np.ndarray, views: np.ndarray, out: Observation) -> None:
        """Write the observations of agents at nodes (B,) that face views (B,) into `out`."""
        ...


# What all kinds of observation have.
POSE_SPACE: dict[str, spaces.Space[Any]] = {
    "heading": spaces.Box(0.0, 2 * np.pi, (1,), np.float32),
    "elevation": spaces.Box(-np.pi / 2, np.pi / 2, (1,), np.float32),
}


class IndexObserver:
    """Observes viewpoints and views as indices, without features.

    `clipnav.envs.navigation.device_features.DeviceFeatures` gathers the features on a network's
    device.
    """

    def __init__(self, world: NavWorld) -> None:
        self._world = world

    def space(self) -> dict[str, spaces.Space[Any]]:
        """Return the spaces of one agent's observation."""
        actions = self._world.num_actions
        return {
            "viewpoint": spaces.Discrete(len(self._world)),
            "view": spaces.Discrete(NUM_VIEWS),
            "candidate_view": spaces.Box(0, NUM_VIEWS - 1, (actions,), np.int32),
            **POSE_SPACE,
        }

    def observe(self, nodes: np.ndarray, views: np.ndarray, out: Observation) -> None:
        """Write the observations of B agents.

        Args:
            nodes: (B,) nodes of the agents.
            views: (B,) views 0..35 that the agents face.
            out: Arrays of the shapes of `space`, overwritten: viewpoint (B,), view (B,),
                candidate_view (B, K), heading (B, 1) and elevation (B, 1).
        """
        out["viewpoint"][:] = nodes
        out["view"][:] = views
        self._world.views.take(nodes, axis=0, out=out["candidate_view"], mode="clip")
        fill_poses(views, out)


@dataclass(frozen=True, eq=False)
class _StoredFeatures:
    """Reader of a store and its row (V,) of each viewpoint of a world."""

    world: NavWorld
    store: FeatureStore
    reader: WideningReader
    rows: np.ndarray


_STORED_FEATURES: SharedObjects[_StoredFeatures] = SharedObjects()


class FeatureObserver:
    """Observes features of views and candidates.

    Attributes:
        width: Size D + A of the feature of a view: D from the store, A from its direction.
    """

    def __init__(
        self, world: NavWorld, store: FeatureStore | None, angle_size: int, num_agents: int
    ) -> None:
        self._world = world
        self._num_agents = num_agents
        self._visual_size = store.width if store else 0
        self.width = self._visual_size + angle_size
        self._panorama_angles = panorama_angles(angle_size)
        self._ends = world.mask.sum(axis=1).tolist() if num_agents == 1 else []  # of the candidates
        self._stored = None
        if store is not None:
            self._stored = _STORED_FEATURES.get(
                (id(world), id(store)),
                lambda: _StoredFeatures(
                    world, store, WideningReader(store), world.store_rows(store)
                ),
            )

    def space(self) -> dict[str, spaces.Space[Any]]:
        """Return the spaces of one agent's observation."""
        actions = self._world.num_actions
        high = np.ones(self.width, np.float32)  # of directions
        high[: self._visual_size] = np.finfo(np.float16).max  # a store has no larger features
        bounds = {
            "panorama": np.tile(high, (NUM_VIEWS, 1)),
            "candidates": np.tile(high, (actions, 1)),
        }
        boxes = {name: spaces.Box(-high, high, dtype=np.float32) for name, high in bounds.items()}
        return {**boxes, **POSE_SPACE}

    def observe(self, nodes: np.ndarray, views: np.ndarray, out: Observation) -> None:
        """Write the observations of B agents.

        Args:
            nodes: (B,) nodes of the agents.
            views: (B,) views 0..35 that the agents face.
            out: Arrays of the shapes of `space`, overwritten: panorama (B, 36, D + A), candidates
                (B, K, D + A), heading (B, 1) and elevation (B, 1).
        """
        if self._num_agents == 1:
            self._observe_one(nodes.item(), views.item(), out)
            return
        visual, base = self._visual_size, views % NUM_HEADINGS
        panorama = out["panorama"]
        if self._stored:
            self._stored.reader.read(self._stored.rows[nodes], panorama)
        panorama[..., visual:] = self._panorama_angles[base]
        fill_poses(views, out)

        agent, action = np.nonzero(self._world.mask[nodes, 1:])
        action += 1
        node = nodes[agent]
        rows = NUM_VIEWS * agent + self._world.views[node, action]
        features = panorama.reshape(-1, self.width).take(rows, axis=0)
        angles = self._world.angles[node, base[agent], action]  # (N, 4)
        # Copying four float32 as one complex128 is several times as fast.
        features[:, visual:].view(np.complex128)[...] = angles.view(np.complex128)
        candidates = out["candidates"]
        candidates[...] = 0.0
        candidates[agent, action] = features

    def _observe_one(self, node: int, view: int, out: Observation) -> None:
        """`observe` for one agent, with few calls of numpy."""
        world, visual, base = self._world, self._visual_size, view % NUM_HEADINGS
        if self._stored:
            self._stored.reader.read(self._stored.rows[node : node + 1], out["panorama"])
        panorama, candidates = out["panorama"][0], out["candidates"][0]
        panorama[:, visual:] = self._panorama_angles[base]
        end = self._ends[node]
        real = candidates[1:end]
        panorama.take(world.views[node, 1:end], axis=0, out=real, mode="clip")
        angles = world.angles[node, base, 1:end].view(np.complex128)
        real[:, visual:].view(np.complex128)[...] = angles
        candidates[0] = candidates[end:] = 0.0
        out["heading"][0] = _HEADINGS[view]
        out["elevation"][0] = _ELEVATIONS[view]


def fill_poses(views: np.ndarray, out: Observation) -> None:
    """Write the heading and elevation of B agents."""
    # "clip" writes to the output directly; "raise" fills a temporary array first.
    _HEADINGS.take(views[:, None], out=out["heading"], mode="clip")
    _ELEVATIONS.take(views[:, None], out=out["elevation"], mode="clip")

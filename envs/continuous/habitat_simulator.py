"""HabitatSimulator: floors and cameras of 3D models in habitat-sim, which is another process."""

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from clipnav.envs.continuous.coordinates import from_habitat, heading_to_yaw, to_habitat
from clipnav.envs.continuous.floor.triangles import TriangleFloor
from clipnav.envs.continuous.settings import R2R_CE, ContinuousSettings
from clipnav.envs.habitat.client import HabitatServer, shared_server
from clipnav.envs.panoramas.habitat_panoramas import scene_file
from clipnav.storage import cache_dir, file_sha256
from clipnav.storage.json_files import read_json_object

_COLLISION_SLACK = 1e-5  # square metres, as in habitat's `collided`
_STAGE_HINT = "correct this stage configuration of habitat-sim"


class SceneFiles(NamedTuple):
    """Files of a building.

    Attributes:
        scene: File that habitat-sim opens.
        model: File of the 3D model. The navigation mesh depends on both.
    """

    scene: Path
    model: Path


class HabitatFloor:
    """The navigation mesh of a building; see `clipnav.envs.continuous.simulator.Floor`.

    Each method is one request to the process of habitat-sim, for all agents together. Numbers are
    float32 there, so positions are exact to 1e-6 m.
    """

    def __init__(
        self, server: HabitatServer, scene: Path, mesh: Path, settings: ContinuousSettings
    ) -> None:
        self._server = server
        self._key = {
            "scene": str(scene),
            "mesh": str(mesh),
            "radius": settings.agent_radius,
            "height": settings.agent_height,
        }

    def project(self, positions: np.ndarray) -> np.ndarray:
        """Return the nearest positions (N, 3) on the floor; those without any are unchanged."""
        nearest = from_habitat(self._ask("project", positions, (3,)))
        return np.where(np.isnan(nearest), positions, nearest)

    def contains(self, positions: np.ndarray) -> np.ndarray:
        """Return (N,) bool, whether an agent can stand at the positions."""
        return self._ask("contains", positions, (), bool)

    def clearance(self, positions: np.ndarray) -> np.ndarray:
        """Return (N,) metres to the border of the floor, at most 2 m."""
        return self._ask("clearance", positions, ())

    def step(
        self,
        positions: np.ndarray,
        headings: np.ndarray,
        distance: float | np.ndarray,
        sliding: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions (N, 3) after a step forward, and (N,) bool, who collided."""
        positions, headings = np.asarray(positions, float), np.asarray(headings, float)
        level, distance = np.zeros(len(headings)), np.asarray(distance, float)
        way = distance[..., None] * np.stack([np.sin(headings), np.cos(headings), level], axis=-1)
        ends = positions + way
        if not sliding and len(positions) and self._triangles is not None:
            starts, targets = np.split(self.project(np.concatenate([positions, ends])), 2)
            moved = self._triangles.steps(starts, ends, targets)
        else:
            to = to_habitat(ends).tolist()
            moved = from_habitat(self._ask("step", positions, (3,), ends=to, sliding=sliding))
        walked = ((moved - positions) ** 2).sum(axis=1)
        return moved, walked + _COLLISION_SLACK < distance**2

    def distances(self, positions: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Return the (N,) geodesic distances in metres to a goal (3,) or to goals (N, 3)."""
        goals = np.broadcast_to(np.asarray(goal, float), np.shape(positions))
        return self._ask("distances", positions, (), goals=to_habitat(goals).tolist())

    def shortest_path(self, start: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Return the corners (M, 3) of the shortest walk, none if there is no walk."""
        ends = {"start": to_habitat(start).tolist(), "goal": to_habitat(goal).tolist()}
        return from_habitat(self._server.call_array("path", (-1, 3), floor=self._key, **ends))

    @cached_property
    def _triangles(self) -> TriangleFloor | None:
        """Floor of steps without sliding, if this habitat-sim lets agents stick to walls."""
        if not self._server.call("sticks", floor=self._key):
            return None
        triangles = self._server.call_array("triangles", (-1, 3, 3), floor=self._key)
        return TriangleFloor(from_habitat(triangles))

    def _ask(
        self,
        method: str,
        positions: np.ndarray,
        shape: tuple[int, ...],
        dtype: type = float,
        **arguments: Any,
    ) -> np.ndarray:
        """Return the (N, *shape) answers for N positions."""
        places = to_habitat(positions).tolist()
        if not places:
            return np.empty((0, *shape), dtype)
        shape = len(places), *shape
        arguments = {"floor": self._key, "positions": places, **arguments}
        return self._server.call_array(method, shape, dtype, **arguments)


class HabitatSimulator:
    """Floors and pictures of 3D models; see `ContinuousSimulator`.

    habitat-sim holds one scene at a time, so a batch of agents is drawn building after building.

    Attributes:
        settings: Cameras and agent.
    """

    def __init__(
        self,
        settings: ContinuousSettings,
        files: Callable[[str], SceneFiles],
        server: HabitatServer | None = None,
    ) -> None:
        self.settings = settings
        self._files = files
        self._server = server or shared_server()
        self._floors: dict[str, HabitatFloor] = {}
        self._scenes: dict[str, SceneFiles] = {}

    def floor(self, scan: str) -> HabitatFloor:
        """Return the floor of a building."""
        if scan not in self._floors:
            files = self._scene(scan)
            mesh = mesh_file(scan, files, self.settings)
            self._floors[scan] = HabitatFloor(self._server, files.scene, mesh, self.settings)
        return self._floors[scan]

    def draw(
        self,
        scans: Sequence[str],
        positions: np.ndarray,
        headings: np.ndarray,
        tilts: np.ndarray,
        sensors: Sequence[str],
    ) -> dict[str, np.ndarray]:
        """Draw pictures of N cameras; see `ContinuousSimulator.draw`."""
        cameras = [self._cameras[sensor] for sensor in sensors]
        eyes = np.array(positions, float)
        eyes[:, 2] += self.settings.camera_height
        eyes, yaws = to_habitat(eyes), heading_to_yaw(headings)
        names = np.asarray(scans, dtype=object)
        pictures: dict[str, np.ndarray] = {}
        for scan in dict.fromkeys(scans):
            rows = np.flatnonzero(names == scan)
            scene = str(self._scene(scan).scene)
            turns = yaws[rows].tolist(), tilts[rows].tolist()
            drawn = self._server.draw(scene, cameras, eyes[rows], *turns)
            for sensor, values in drawn.items():
                if sensor not in pictures:
                    pictures[sensor] = np.empty((len(scans), *values.shape[1:]), values.dtype)
                pictures[sensor][rows] = values
        return pictures

    @cached_property
    def _cameras(self) -> dict[str, dict[str, Any]]:
        sizes = {"rgb": self.settings.rgb_size, "depth": self.settings.depth_size}
        return {
            sensor: {
                "name": sensor,
                "kind": sensor,
                "size": list(size),
                "hfov": self.settings.hfov,
            }
            for sensor, size in sizes.items()
        }

    def _scene(self, scan: str) -> SceneFiles:
        if scan not in self._scenes:
            self._scenes[scan] = self._files(scan)
        return self._scenes[scan]


def mesh_file(scan: str, files: SceneFiles, settings: ContinuousSettings) -> Path:
    """Return the file of a navigation mesh.

    It is the mesh beside the scene for habitat's default agent, which Matterport3D's scenes come
    with, and otherwise one in the cache folder, which is computed when it is used first. Its name
    contains a digest of what the files contain, so that a copy of them needs no other mesh.
    """
    radius, height = settings.agent_radius, settings.agent_height
    beside = files.scene.with_name(f"{scan}.navmesh")
    if (radius, height) == (R2R_CE.agent_radius, R2R_CE.agent_height) and beside.is_file():
        return beside
    contents = "".join(file_sha256(file) for file in files)
    digest = hashlib.sha256(contents.encode()).hexdigest()[:16]
    name = f"{scan}-{digest}-r{radius:g}-h{height:g}.navmesh"
    return cache_dir() / "habitat" / "meshes" / name


def house_files(scan: str) -> SceneFiles:
    """Return the files of a built-in house, which is built and exported first."""
    from clipnav.envs.houses.rendering.habitat_export import export_houses

    return folder_files(export_houses([scan]), scan)


def folder_files(folder: Path, scan: str) -> SceneFiles:
    """Return the files of a scan in a folder of 3D models."""
    scene = scene_file(folder, scan)
    model = scene
    if scene.suffix != ".glb":  # a stage configuration, which may name its 3D model
        asset = read_json_object(scene, _STAGE_HINT).get("render_asset")
        model = scene.parent / asset if isinstance(asset, str) else scene
        if not model.is_file():
            raise FileNotFoundError(f"{model}: {scene} names no file; {_STAGE_HINT}")
    return SceneFiles(scene, model)

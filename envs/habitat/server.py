"""Server of habitat-sim, which runs under the Python that habitat-sim is installed in.

This file runs as a script under Python 3.9 or later and imports nothing besides the standard
library, numpy and habitat_sim: no other file of clipnav. `clipnav.envs.habitat.client` starts it as

    python server.py SOCKET GPU_DEVICE_ID

and sends one request per line over that Unix socket, a JSON object with the name of a method in
"do" and its arguments. The answer is one line: {"value": ...}, or {"error", "kind", "traceback"} of
an exception. Pictures are written into a file that both processes map into their memory.

All positions are in habitat's axes (y up). Yaw is counter-clockwise around y, pitch is upwards,
both in radians. The code uses only calls that are the same in habitat-sim 0.2.2 and 0.3.4.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
import traceback
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

_ALIGNMENT = 64  # bytes; each array of pictures starts at a multiple in the shared memory

# habitat-sim's default of 0.2 m per cell puts an agent, and so its camera, above the floor.
_CELL_SIZE = _CELL_HEIGHT = 0.05
CLIMB, _SLOPE = 0.2, 45.0  # metres of a step, and degrees of a ramp, that an agent can climb
_FARTHEST_OBSTACLE = 2.0  # metres, habitat's default radius of the search

Camera = dict[str, Any]  # name, kind ("rgb" or "depth"), size (height, width), hfov (degrees)
FloorKey = dict[str, Any]  # scene and mesh (files), radius and height of the agent in metres
Points = Any  # (N, 3) numbers
_SMALL_CAMERA = {"name": "rgb", "kind": "rgb", "size": [8, 8], "hfov": 90.0}
_KINDS = {"rgb": "COLOR", "depth": "DEPTH"}
_TYPES = {"rgb": np.uint8, "depth": np.float32}
_METHODS = (
    "versions missing probe draw_into project contains clearance step sticks triangles distances "
    "path"
).split()
# Agents that walk against a wall and back, to learn the rule of steps without sliding.
_STEP, _MOST_STEPS, _DIRECTIONS, _WALKERS = 0.25, 400, 8, 16


class Habitat:
    """habitat_sim with plain numbers: pictures of scenes, and their navigation meshes.

    One simulator with all cameras is kept, because creating one takes seconds; another scene
    reconfigures it. It is closed and created again when a camera is new or differs from that of its
    name, because 0.3.4 neither notices another size or field of view in the same scene nor adds a
    colour camera where there was none.

    Args:
        gpu_device_id: CUDA device that draws, -1 for software; None for 0 if there is an NVIDIA
            device, otherwise -1. habitat-sim ends the process if the device does not exist.
    """

    def __init__(self, gpu_device_id: int | None = None) -> None:
        self.module = _import_habitat()
        # habitat's default ends the process where there is no such device.
        default = 0 if os.path.exists("/dev/nvidia0") else -1
        self._gpu_device_id = default if gpu_device_id is None else gpu_device_id
        self._simulator: Any = None
        self._scene: str | None = None
        self._cameras: dict[str, Camera] = {}
        self._meshes: dict[str, Any] = {}
        self._sticks: bool | None = None

    def versions(self) -> dict[str, Any]:
        """Return versions, which are for messages only: 0.3.4 reports 0.3.3."""
        return {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "habitat_sim": getattr(self.module, "__version__", "unknown"),
        }

    def missing(self) -> list[str]:
        """Return the names that this file uses and this habitat_sim lacks."""
        names = (
            "SimulatorConfiguration Configuration Simulator CameraSensorSpec SensorType.COLOR "
            "SensorType.DEPTH SensorSubType.PINHOLE agent.AgentConfiguration agent.SixDOFPose "
            "utils.common.quat_from_angle_axis ShortestPath NavMeshSettings PathFinder.find_path "
            "PathFinder.load_nav_mesh PathFinder.save_nav_mesh PathFinder.snap_point "
            "PathFinder.is_navigable PathFinder.try_step PathFinder.try_step_no_sliding "
            "PathFinder.distance_to_closest_obstacle"
        )
        missing = []
        for name in names.split():
            found = reduce(lambda part, key: getattr(part, key, None), name.split("."), self.module)
            if found is None:
                missing.append(name)
        return missing

    def probe(self) -> list[int]:
        """Draw a picture of an empty scene, which fails or ends the process without graphics."""
        return list(self.draw("NONE", [_SMALL_CAMERA], [[0, 0, 0]], [0], [0])["rgb"].shape)

    def draw(
        self,
        scene: str,
        cameras: Sequence[Camera],
        positions: Points,
        yaws: Sequence[float],
        pitches: Sequence[float],
    ) -> dict[str, np.ndarray]:
        """Draw N pictures with each of some cameras.

        Args:
            positions: (N, 3) positions of the cameras.
            yaws: (N,) radians.
            pitches: (N,) radians.

        Returns:
            By name (N, height, width, 3) uint8, or (N, height, width) float32, planar depth in
            metres, 0 where nothing is hit.
        """
        self._configure(scene, cameras)
        agent, turn = self._simulator.get_agent(0), self.module.utils.common.quat_from_angle_axis
        arrays = {}
        for camera in cameras:
            size = (len(positions), *camera["size"])
            rgb = camera["kind"] == "rgb"
            arrays[camera["name"]] = np.empty((*size, 3) if rgb else size, _TYPES[camera["kind"]])
        for number, position in enumerate(np.asarray(positions, np.float32)):
            rotation = turn(yaws[number], np.array([0.0, 1.0, 0.0]))
            rotation = rotation * turn(pitches[number], np.array([1.0, 0.0, 0.0]))
            pose = self.module.agent.SixDOFPose(position, rotation)
            state = agent.get_state()
            state.position = position
            state.sensor_states = dict.fromkeys(self._cameras, pose)
            agent.set_state(state, reset_sensors=False, infer_sensor_states=False)
            seen = self._simulator.get_sensor_observations()
            for camera in cameras:
                picture = seen[camera["name"]]
                arrays[camera["name"]][number] = (
                    picture[..., :3] if camera["kind"] == "rgb" else picture
                )
        return arrays

    def draw_into(self, memory: str, **request: Any) -> None:
        """Write the pictures of `draw` into a file, one camera after the other, see `layout`."""
        arrays = self.draw(**request)
        with open(memory, "r+b") as file:
            shared = np.memmap(file, np.uint8, "r+")
            for name, start, stop in layout(request["cameras"], len(request["positions"])):
                shared[start:stop] = np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8)
            shared.flush()

    def project(self, floor: FloorKey, positions: Points) -> list[list[float]]:
        """Return the (N, 3) points of the floor that are nearest to positions, NaN for none."""
        mesh = self._mesh(floor)
        return [_numbers(mesh.snap_point(point)) for point in _points(positions)]

    def contains(self, floor: FloorKey, positions: Points) -> list[bool]:
        """Return whether each position is on the floor."""
        mesh = self._mesh(floor)
        return [bool(mesh.is_navigable(point)) for point in _points(positions)]

    def clearance(self, floor: FloorKey, positions: Points) -> list[float]:
        """Return the metres from each position to the border of the floor."""
        mesh = self._mesh(floor)
        return [
            float(mesh.distance_to_closest_obstacle(point, _FARTHEST_OBSTACLE))
            for point in _points(positions)
        ]

    def step(
        self, floor: FloorKey, positions: Points, ends: Points, sliding: bool
    ) -> list[list[float]]:
        """Return where agents get that walk straight from positions to ends, both (N, 3)."""
        mesh = self._mesh(floor)
        move = mesh.try_step if sliding else mesh.try_step_no_sliding
        starts = _points(positions)
        return [_numbers(move(starts[k], end)) for k, end in enumerate(_points(ends))]

    def sticks(self, floor: FloorKey) -> bool:
        """Return whether agents without sliding stick to the wall that they have walked against.

        Up to 0.3.3 they leave it at once. 0.3.4, which reports the version 0.3.3, ends a step at
        the last wall on its way, which is mostly the one where it begins. Agents walk here against
        walls in many directions, turn by 180 degrees and step back.
        """
        if self._sticks is None:
            mesh = self._mesh(floor)
            middles = np.array(self.triangles(floor)).reshape(-1, 3, 3).mean(axis=1)
            stays = [
                stay
                for middle in middles[:: max(1, len(middles) // _WALKERS)]
                for turn in np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS) + 0.1
                for stay in _stays_at_wall(mesh.try_step_no_sliding, middle, turn)
            ]
            if not stays:
                return False
            self._sticks = bool(np.mean(stays) > 0.25)
        return self._sticks

    def triangles(self, floor: FloorKey) -> list[list[list[float]]]:
        """Return the corners (T, 3, 3) of the triangles of the navigation mesh."""
        mesh = self._mesh(floor)
        corners = [_numbers(corner) for corner in mesh.build_navmesh_vertices()]
        indices = list(mesh.build_navmesh_vertex_indices())
        return [[corners[k] for k in indices[i : i + 3]] for i in range(0, len(indices), 3)]

    def distances(self, floor: FloorKey, positions: Points, goals: Points) -> list[float]:
        """Return the geodesic distances from positions to goals, both (N, 3); inf for none."""
        starts, ends = _points(positions), _points(goals)
        mesh = self._mesh(floor)
        return [
            float(self._path(mesh, start, ends[k]).geodesic_distance)
            for k, start in enumerate(starts)
        ]

    def path(self, floor: FloorKey, start: Any, goal: Any) -> list[list[float]]:
        """Return the corners (M, 3) of the shortest path; none if there is no path."""
        ends = _points([start, goal])
        return [_numbers(point) for point in self._path(self._mesh(floor), *ends).points]

    def close(self) -> None:
        """Close the simulator."""
        if self._simulator is not None:
            self._simulator.close()
        self._simulator = self._scene = None

    def _path(self, mesh: Any, start: np.ndarray, goal: np.ndarray) -> Any:
        path = self.module.ShortestPath()
        path.requested_start, path.requested_end = start, goal
        mesh.find_path(path)
        return path

    def _mesh(self, floor: FloorKey) -> Any:
        """Return a navigation mesh, whose file is written if it does not exist."""
        key = json.dumps(floor, sort_keys=True)
        if key not in self._meshes:
            mesh = self.module.PathFinder()
            if not os.path.isfile(floor["mesh"]):
                self._write_mesh(floor)
            if not mesh.load_nav_mesh(floor["mesh"]) or not mesh.is_loaded:
                raise ValueError(
                    f"{floor['mesh']}: not a navigation mesh that this habitat-sim reads; delete "
                    "it, and it is computed again"
                )
            self._meshes[key] = mesh
        return self._meshes[key]

    def _write_mesh(self, floor: FloorKey) -> None:
        # Without a camera, habitat-sim creates no renderer.
        self._configure(floor["scene"], [] if self._cameras else [_SMALL_CAMERA])
        settings = self.module.NavMeshSettings()
        settings.set_defaults()
        settings.agent_radius, settings.agent_height = floor["radius"], floor["height"]
        settings.agent_max_climb, settings.agent_max_slope = CLIMB, _SLOPE
        settings.cell_size, settings.cell_height = _CELL_SIZE, _CELL_HEIGHT
        mesh = self.module.PathFinder()
        if not self._simulator.recompute_navmesh(mesh, settings):
            raise ValueError(f"{floor['scene']}: habitat-sim finds no floor in this scene")
        path = Path(floor["mesh"])
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.stem}.{os.getpid()}.writing{path.suffix}")
        mesh.save_nav_mesh(str(beside))
        beside.replace(path)

    def _configure(self, scene: str, cameras: Sequence[Camera]) -> None:
        """Open a scene with at least these cameras."""
        wanted = {**self._cameras, **{camera["name"]: camera for camera in cameras}}
        if wanted != self._cameras:
            self.close()
            self._cameras = wanted
        if scene == self._scene:
            return
        habitat = self.module
        simulator = habitat.SimulatorConfiguration()
        simulator.scene_id, simulator.gpu_device_id = scene, self._gpu_device_id
        simulator.enable_physics = simulator.load_semantic_mesh = False
        agent = habitat.agent.AgentConfiguration()
        agent.sensor_specifications = [self._sensor(camera) for camera in wanted.values()]
        configuration = habitat.Configuration(simulator, [agent])
        self._scene = None  # until the new one is open
        if self._simulator is None:
            self._simulator = habitat.Simulator(configuration)
        else:
            self._simulator.reconfigure(configuration)
        self._scene = scene

    def _sensor(self, camera: Camera) -> Any:
        sensor = self.module.CameraSensorSpec()
        sensor.uuid = camera["name"]
        sensor.sensor_type = getattr(self.module.SensorType, _KINDS[camera["kind"]])
        sensor.sensor_subtype = self.module.SensorSubType.PINHOLE
        sensor.resolution = [int(side) for side in camera["size"]]
        sensor.position = [0.0, 0.0, 0.0]  # 0.3 raises TypeError for integers
        sensor.hfov = float(camera["hfov"])
        return sensor


def _import_habitat() -> Any:
    """Import habitat_sim without its log."""
    os.environ.setdefault("HABITAT_SIM_LOG", "quiet")
    os.environ.setdefault("MAGNUM_LOG", "quiet")
    import habitat_sim  # pyright: ignore[reportMissingImports]
    import habitat_sim.utils.common  # pyright: ignore[reportMissingImports]

    return habitat_sim


def layout(cameras: Sequence[Camera], count: int) -> list[tuple[str, int, int]]:
    """Return name, start and stop in bytes of each camera's pictures in the shared memory."""
    parts, start = [], 0
    for camera in cameras:
        height, width = camera["size"]
        stop = start + count * height * width * (3 if camera["kind"] == "rgb" else 4)
        parts.append((camera["name"], start, stop))
        start = -(-stop // _ALIGNMENT) * _ALIGNMENT
    return parts


def _points(positions: Points) -> np.ndarray:
    return np.asarray(positions, np.float32).reshape(-1, 3)


def _numbers(point: Any) -> list[float]:
    return [float(point[axis]) for axis in range(3)]


def _stays_at_wall(step: Any, start: np.ndarray, turn: float) -> list[bool]:
    """Walk to a wall, and return whether the step back ends where it begins; [] without a wall."""
    at, way = start, _STEP * np.array([np.sin(turn), 0.0, np.cos(turn)])
    for count in range(_MOST_STEPS):
        before, at = at, np.array(_numbers(step(*_points([at, at + way]))))
        if np.hypot(*(at - before)[[0, 2]]) < 0.9 * _STEP:
            if count < 2:
                return []  # there may be another wall behind
            back = np.array(_numbers(step(*_points([at, at - way]))))
            return [bool(np.hypot(*(back - at)[[0, 2]]) < 0.5 * _STEP)]
    return []


def serve(address: str, gpu_device_id: int | None) -> None:
    """Answer requests until the other side closes the connection."""
    habitat = None
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        with connection.makefile("rwb") as stream:
            for line in stream:
                request = json.loads(line)
                name = request.pop("do")
                try:
                    if name not in _METHODS:
                        raise ValueError(f"{name}: no such method")
                    habitat = habitat or Habitat(gpu_device_id)
                    answer = {"value": getattr(habitat, name)(**request)}
                except Exception as error:  # the other side raises it again
                    answer = {"error": str(error), "kind": type(error).__name__}
                    answer["traceback"] = traceback.format_exc()
                stream.write(json.dumps(answer).encode() + b"\n")
                stream.flush()
    if habitat is not None:
        habitat.close()


if __name__ == "__main__":
    serve(sys.argv[1], None if sys.argv[2] == "auto" else int(sys.argv[2]))

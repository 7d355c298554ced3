"""Panoramas and views of 3D models, rendered by habitat-sim.

habitat-sim is an optional dependency, imported on use: conda install habitat-sim headless -c
conda-forge -c aihabitat, or build it from source; PyPI has no usable package. The code uses only
calls that are the same in 0.2.2 and 0.3.4; it does not read `__version__`, which is wrong in 0.3.4.

Habitat's axes are our x, z and -y; its yaw is counter-clockwise around the vertical axis.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from connectivity import read_connectivity
from envs.panoramas.cameras import equirectangular_camera
from envs.panoramas.cube_maps import cube_strip, draw, rays, rotated, sample_distance
from envs.panoramas.panorama import Panorama
from storage.features.view_grid import NUM_VIEWS, VFOV, view_direction

_RGB, _DEPTH = "rgb", "depth"
# Heading and elevation (in quarter turns) of the faces of a cube: up, four around, down.
_FACES = tuple(
    (heading * np.pi / 2, elevation * np.pi / 2)
    for heading, elevation in ((0, 1), (0, 0), (1, 0), (2, 0), (3, 0), (0, -1))
)
# Matrix to the axes of that cube, which are right, up and forward.
_CUBE_AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
_INSTALL = (
    "habitat-sim is not installed: conda install habitat-sim headless -c conda-forge -c aihabitat"
)


class HabitatPanoramas:
    """Renders panoramas and views at the viewpoints of 3D models.

    One simulator is created and reconfigured for each scan, because creating one takes seconds. If
    the machine lacks the requested graphics device, habitat-sim ends the process, which no `except`
    catches; run this class in a separate process if that matters.

    Args:
        scenes: Folder with `<scan>.stage_config.json`, `<scan>.glb` or `<scan>/<scan>.glb`, in this
            order of preference. A GLB without configuration must have z up, as in Matterport3D.
        connectivity_dir: Folder of the navigation graphs; None for those of the built-in houses.
        width: Number of columns of a panorama, which has half as many rows.
        gpu_device_id: CUDA device that renders, -1 for software rendering; None for 0 if torch
            finds a device, otherwise -1.

    Raises:
        ModuleNotFoundError: habitat-sim is not installed.
    """

    def __init__(
        self,
        scenes: Path,
        connectivity_dir: Path | None = None,
        width: int = 1024,
        gpu_device_id: int | None = None,
    ):
        self._habitat = _import_habitat()
        self._scenes = Path(scenes)
        self._connectivity_dir = connectivity_dir
        self._width = width
        self._gpu_device_id = _drawing_device() if gpu_device_id is None else gpu_device_id
        self._positions: dict[str, dict[str, np.ndarray]] = {}
        self._simulator: Any = None
        self._configured: tuple[Any, ...] | None = None

    def views36(
        self, scan: str, viewpoint: str, size: int | tuple[int, int] = 224, vfov: float = VFOV
    ) -> np.ndarray:
        """Render the 36 views of a viewpoint.

        Args:
            scan: Name of the building.
            viewpoint: Id of the viewpoint.
            size: Height and width of a view, or one number for both.
            vfov: Vertical field of view in radians; pixels are square.

        Returns:
            (36, height, width, 3) uint8 RGB, in the order and geometry of
            `envs.panoramas.views.views36`.

        Raises:
            FileNotFoundError: The scan has no 3D model or no navigation graph.
            KeyError: The graph has no such viewpoint.
        """
        shape = (size, size) if isinstance(size, int) else size
        directions = [view_direction(view) for view in range(NUM_VIEWS)]
        images = self._render(scan, viewpoint, directions, shape, vfov, (_RGB,))
        return np.stack([image[_RGB][..., :3] for image in images])

    def panorama(self, scan: str, viewpoint: str) -> Panorama:
        """Render RGB and depth around a viewpoint from six square images.

        Depth is the distance along the ray in metres, inf where nothing is hit. Object ids are
        unknown (-1).

        Raises:
            FileNotFoundError, KeyError: As for `views36`.
        """
        side = self._width // 4
        faces = self._render(scan, viewpoint, _FACES, (side, side), np.pi / 2, (_RGB, _DEPTH))
        rgb = np.concatenate([face[_RGB][..., :3] for face in faces], axis=1)
        # Habitat measures depth from the camera plane of each face.
        offset = (2 * np.arange(side) + 1) / side - 1
        stretch = np.sqrt(1 + offset[None, :] ** 2 + offset[:, None] ** 2).astype(np.float32)
        distance = np.concatenate([face[_DEPTH] * stretch for face in faces], axis=1)
        size = (self._width // 2, self._width)
        directions = rays(equirectangular_camera(self._width), size)
        depth = sample_distance(distance, rotated(_CUBE_AXES, directions))
        return Panorama(
            draw(cube_strip(rgb), _CUBE_AXES, directions),
            np.where(np.isnan(depth), np.float32(np.inf), depth),
            np.full(size, -1, np.int32),
        )

    def close(self) -> None:
        """Close the simulator."""
        if self._simulator is not None:
            self._simulator.close()
        self._simulator = self._configured = None

    def _render(
        self,
        scan: str,
        viewpoint: str,
        directions: Sequence[tuple[float, float]],
        size: tuple[int, int],
        vfov: float,
        sensors: tuple[str, ...],
    ) -> list[dict[str, np.ndarray]]:
        """Return the observations of the sensors in each direction (heading, elevation)."""
        position = self._position(scan, viewpoint)
        self._configure(scan, size, vfov, sensors)
        agent = self._simulator.get_agent(0)
        renderings = []
        for heading, elevation in directions:
            pose = self._habitat.agent.SixDOFPose(position, self._rotation(heading, elevation))
            state = agent.get_state()
            state.position = position
            state.sensor_states = dict.fromkeys(sensors, pose)
            agent.set_state(state, reset_sensors=False, infer_sensor_states=False)
            observations = self._simulator.get_sensor_observations()
            # Copied, because habitat may render the next view into the same memory.
            renderings.append({sensor: np.array(observations[sensor]) for sensor in sensors})
        return renderings

    def _rotation(self, heading: float, elevation: float) -> Any:
        rotation = self._habitat.utils.common.quat_from_angle_axis
        yaw = rotation(-heading, np.array([0.0, 1.0, 0.0]))
        return yaw * rotation(elevation, np.array([1.0, 0.0, 0.0]))

    def _configure(
        self, scan: str, size: tuple[int, int], vfov: float, sensors: tuple[str, ...]
    ) -> None:
        wanted = (scan, size, vfov, sensors)
        if wanted == self._configured:
            return
        habitat = self._habitat
        simulator = habitat.SimulatorConfiguration()
        simulator.scene_id = str(scene_file(self._scenes, scan))
        simulator.gpu_device_id = self._gpu_device_id
        simulator.enable_physics = False
        simulator.load_semantic_mesh = False
        agent = habitat.agent.AgentConfiguration()
        agent.sensor_specifications = [self._sensor(name, size, vfov) for name in sensors]
        configuration = habitat.Configuration(simulator, [agent])
        if self._simulator is None:
            self._simulator = habitat.Simulator(configuration)
        else:
            self._simulator.reconfigure(configuration)
        self._configured = wanted

    def _sensor(self, name: str, size: tuple[int, int], vfov: float) -> Any:
        kinds = {_RGB: self._habitat.SensorType.COLOR, _DEPTH: self._habitat.SensorType.DEPTH}
        sensor = self._habitat.CameraSensorSpec()
        sensor.uuid = name
        sensor.sensor_type = kinds[name]
        sensor.sensor_subtype = self._habitat.SensorSubType.PINHOLE
        sensor.resolution = [size[0], size[1]]
        sensor.position = [0.0, 0.0, 0.0]  # 0.3 raises TypeError for integers
        # Habitat takes the horizontal field of view only.
        sensor.hfov = float(np.degrees(2 * np.arctan(np.tan(vfov / 2) * size[1] / size[0])))
        return sensor

    def _position(self, scan: str, viewpoint: str) -> np.ndarray:
        """Return the (3,) float32 position of a viewpoint in habitat's axes."""
        if scan not in self._positions:
            self._positions[scan] = {
                record["image_id"]: np.reshape(record["pose"], (4, 4))[:3, 3]
                for record in read_connectivity(scan, self._connectivity_dir)
            }
        if viewpoint not in self._positions[scan]:
            raise KeyError(f"{scan}_connectivity.json has no viewpoint {viewpoint!r}")
        x, y, z = self._positions[scan][viewpoint]
        return np.array([x, z, -y], np.float32)


def scene_file(scenes: Path, scan: str) -> Path:
    """Return the file of a scan's 3D model that habitat-sim opens.

    Args:
        scenes: Folder of 3D models, see `HabitatPanoramas`.
        scan: Name of the building.

    Raises:
        FileNotFoundError: The scan has no 3D model.
    """
    names = (f"{scan}.stage_config.json", f"{scan}.glb", f"{scan}/{scan}.glb")
    for name in names:
        if (scenes / name).is_file():
            return scenes / name
    raise FileNotFoundError(
        f"{scenes}: no 3D model of scan '{scan}'; add one of {', '.join(names)}, or pass another "
        "folder of 3D models"
    )


def require_habitat() -> None:
    """Check that habitat-sim is installed, without importing it.

    Raises:
        ModuleNotFoundError: habitat-sim is not installed; the message contains the command.
    """
    if importlib.util.find_spec("habitat_sim") is None:
        raise ModuleNotFoundError(_INSTALL)


def _import_habitat() -> Any:
    # habitat-sim reads these variables on import; without them it logs a lot.
    os.environ.setdefault("HABITAT_SIM_LOG", "quiet")
    os.environ.setdefault("MAGNUM_LOG", "quiet")
    try:
        import habitat_sim  # pyright: ignore[reportMissingImports]
        import habitat_sim.utils.common  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ModuleNotFoundError(_INSTALL) from error
    return habitat_sim


def _drawing_device() -> int:
    """Return 0 if there is a CUDA device, otherwise -1; habitat's default ends the process."""
    import torch

    return 0 if torch.cuda.is_available() else -1

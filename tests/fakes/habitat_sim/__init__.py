"""Fake of habitat-sim for tests: it records its arguments and renders directions as colours.

Like the real package, it rejects unknown settings and integers instead of floats, and resets the
sensor poses when an agent is moved. All views are rendered into the same buffer. As in 0.3.4,
cameras of one name are equal whatever their size and field of view, so that `reconfigure` keeps the
old ones in the same scene, and textures cannot be required later without `close`. A scene whose
file contains "exit" ends the process as a missing graphics device does; "exit once" does so only
once.
"""

import enum
import os
import sys
from dataclasses import dataclass, field

import numpy as np

from habitat_sim import agent, utils
from habitat_sim.nav import NavMeshSettings, PathFinder, ShortestPath

__all__ = ["NavMeshSettings", "PathFinder", "ShortestPath", "agent", "utils"]
__version__ = "0.3.3"

RADIUS = 3.0  # metres to the wall, a ball around every viewpoint
SKY = 1.2  # radians of elevation above which there is nothing

calls: list[tuple] = []


class SensorType(enum.Enum):
    COLOR = 1
    DEPTH = 2


class SensorSubType(enum.Enum):
    PINHOLE = 1


class SimulatorConfiguration:
    __slots__ = (
        "enable_physics",
        "gpu_device_id",
        "load_semantic_mesh",
        "requires_textures",
        "scene_dataset_config_file",
        "scene_id",
    )

    def __eq__(self, other):
        return all(getattr(self, n, None) == getattr(other, n, None) for n in self.__slots__)


class CameraSensorSpec:
    __slots__ = ("hfov", "position", "resolution", "sensor_subtype", "sensor_type", "uuid")

    def __eq__(self, other):
        names = ("uuid", "sensor_type", "sensor_subtype", "position")
        return all(getattr(self, name) == getattr(other, name) for name in names)


@dataclass
class Configuration:
    sim_cfg: SimulatorConfiguration
    agents: list


@dataclass
class AgentState:
    position: np.ndarray = field(default_factory=lambda: np.zeros(3))
    sensor_states: dict = field(default_factory=dict)


class Agent:
    def __init__(self):
        self.state = AgentState()

    def get_state(self):
        return AgentState(self.state.position, dict(self.state.sensor_states))

    def set_state(self, state, reset_sensors=True, infer_sensor_states=True):
        if reset_sensors or infer_sensor_states:
            state.sensor_states = {}
        calls.append(("set_state", tuple(np.round(state.position, 6).tolist())))
        self.state = state


class Simulator:
    def __init__(self, configuration):
        calls.append(("Simulator",))
        self._configuration = None
        self.reconfigure(configuration)

    def reconfigure(self, configuration):
        scene, sensors = configuration.sim_cfg, configuration.agents[0].sensor_specifications
        scene.requires_textures = any(s.sensor_type is SensorType.COLOR for s in sensors)
        if configuration == self._configuration:
            return
        if self._configuration is None:
            self._requires_textures = scene.requires_textures
        elif scene.requires_textures and not self._requires_textures:
            raise RuntimeError(
                "requiresTextures was changed to True from False. Must call close() before "
                "changing this value."
            )
        self._configuration = configuration
        self._exit(scene.scene_id)
        for sensor in sensors:
            assert all(isinstance(number, float) for number in sensor.position)
        calls.append(
            (
                "configure",
                scene.scene_id,
                scene.gpu_device_id,
                [(s.uuid, s.sensor_type.name, s.resolution, round(s.hfov, 2)) for s in sensors],
            )
        )
        self._sensors = sensors
        self._agent = Agent()
        self._memory = {
            sensor.uuid: np.zeros((*sensor.resolution, 4), np.uint8)
            if sensor.sensor_type is SensorType.COLOR
            else np.zeros(sensor.resolution, np.float32)
            for sensor in sensors
        }

    def _exit(self, scene):
        if not os.path.isfile(scene):
            return
        with open(scene) as file:
            text = file.read()
        if text.startswith("exit"):
            if text == "exit once":
                os.truncate(scene, 0)
            sys.stderr.write("unable to find (EGL device for) CUDA device 0\n")
            sys.stderr.flush()
            os._exit(1)

    def recompute_navmesh(self, pathfinder, settings):
        calls.append(("recompute_navmesh", settings.agent_radius, settings.agent_height))
        pathfinder.build(settings)
        return True

    def get_agent(self, agent_id):
        return {0: self._agent}[agent_id]

    def get_sensor_observations(self):
        for sensor in self._sensors:
            pose = self._agent.state.sensor_states[sensor.uuid]
            self._draw(sensor, pose.rotation.matrix)
        return self._memory

    def _draw(self, sensor, rotation):
        height, width = sensor.resolution
        half = np.tan(np.radians(sensor.hfov) / 2)
        right = half * ((2 * np.arange(width) + 1) / width - 1)
        up = -half * height / width * ((2 * np.arange(height) + 1) / height - 1)
        rays = np.stack(np.broadcast_arrays(right[None, :], up[:, None], -1.0), axis=-1)
        length = np.linalg.norm(rays, axis=-1)
        looks = rays @ rotation.T / length[..., None]  # x, height, -y
        memory = self._memory[sensor.uuid]
        if sensor.sensor_type is SensorType.DEPTH:
            memory[:] = np.where(np.arcsin(looks[..., 1]) > SKY, 0.0, RADIUS / length)
            return
        world = np.stack([looks[..., 0], -looks[..., 2], looks[..., 1]], axis=-1)
        memory[..., :3] = np.rint(127.5 + 127 * world)
        memory[..., 3] = 255

    def close(self):
        calls.append(("close",))

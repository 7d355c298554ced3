"""Factories for `gymnasium.make` and `gymnasium.make_vec`, which take plain keyword arguments.

Code that already has a loaded split calls `ContinuousVectorEnv` or `ContinuousEnv` directly.
"""

import inspect
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

from gymnasium.vector import AutoresetMode

from clipnav.envs.arguments import check_argument_names, check_choice
from clipnav.envs.continuous.environments.single_env import ContinuousEnv
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.episodes import ContinuousSplit, load_continuous_split
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.sensors import ImageEncoder
from clipnav.envs.continuous.settings import ContinuousSettings, task_settings
from clipnav.envs.continuous.simulator import ContinuousSimulator
from clipnav.envs.datasets import with_dataset_of_id
from clipnav.envs.worlds import World, is_built_in
from clipnav.storage.errors import UserError

Backend = Literal["houses", "habitat"]
_OF_SPLIT = tuple(inspect.signature(load_continuous_split).parameters)
_OF_SETTINGS = tuple(field.name for field in fields(ContinuousSettings))


def open_simulator(
    settings: ContinuousSettings,
    world: World = "houses",
    backend: Backend = "houses",
    scan_dir: str | Path | None = None,
    habitat_python: str | Path | None = None,
    gpu_device_id: int | None = None,
) -> ContinuousSimulator:
    """Return the simulator of an environment."""
    check_choice("backend", backend, Backend)
    given = {
        "scan_dir": scan_dir,
        "habitat_python": habitat_python,
        "gpu_device_id": gpu_device_id,
    }
    if backend == "houses":
        if not is_built_in(world):
            raise UserError(
                f"world {world!r} has no floors and no cameras of its own; use the world 'houses' "
                "or 'houses-standard', backend='habitat' with a scan_dir, or pass a simulator"
            )
        if unused := [name for name, value in given.items() if value is not None]:
            raise UserError(f"{' and '.join(unused)} has no effect without backend='habitat'")
        return HouseSimulator(settings)
    from clipnav.envs.continuous.habitat_simulator import (
        HabitatSimulator,
        folder_files,
        house_files,
    )
    from clipnav.envs.habitat.client import habitat_python as interpreter
    from clipnav.envs.habitat.client import shared_server

    if scan_dir is None and not is_built_in(world):
        raise UserError(f"world {world!r} with backend='habitat' requires scan_dir, its 3D models")
    python = interpreter(habitat_python)  # reported before a house is built
    files = house_files if scan_dir is None else partial(folder_files, Path(scan_dir))
    return HabitatSimulator(settings, files, shared_server(python, gpu_device_id))


_OF_BACKEND = tuple(inspect.signature(open_simulator).parameters)[2:]  # without settings and world


def make_continuous_env(
    encoder: ImageEncoder | None = None,
    simulator: ContinuousSimulator | None = None,
    own_dataset: str | None = None,
    **arguments: Any,
) -> ContinuousEnv:
    """Load a split and build an environment with one agent.

    Args:
        encoder: Encoder of the sensors "clip" and "clip_panorama", such as `ClipEncoder.load(...)`.
        simulator: Floors and cameras, with the settings of the environment; None for those of the
            backend.
        own_dataset: Dataset of the id in Gymnasium's registry.
        arguments: Those of `clipnav.envs.continuous.episodes.load_continuous_split`; `backend`
            ("houses" or "habitat") and the other arguments of
            `clipnav.envs.continuous.environments.making.open_simulator`; and the fields of
            `clipnav.envs.continuous.settings.ContinuousSettings`, by default those of the
            dataset's task.

    Raises:
        TypeError: There is no such argument; the message names the closest one.
        FileNotFoundError: A file of the world is missing.
        UserError: A file is damaged, or arguments do not fit each other.
    """
    arguments = with_dataset_of_id(arguments, own_dataset, continuous=True)
    split, simulator, settings = _load("ContinuousEnv", simulator, arguments)
    return ContinuousEnv(split, simulator, settings, encoder)


def make_continuous_vector_env(
    num_envs: int = 1,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    encoder: ImageEncoder | None = None,
    simulator: ContinuousSimulator | None = None,
    own_dataset: str | None = None,
    **arguments: Any,
) -> ContinuousVectorEnv:
    """Load a split and build an environment with a batch of agents."""
    arguments = with_dataset_of_id(arguments, own_dataset, continuous=True)
    split, simulator, settings = _load("ContinuousVectorEnv", simulator, arguments)
    return ContinuousVectorEnv(split, simulator, num_envs, settings, autoreset_mode, encoder)


# gymnasium.make reads here which render modes it can wrap ("human", "rgb_array_list").
make_continuous_env.metadata = ContinuousEnv.metadata  # type: ignore[attr-defined]


def _load(
    env: str, simulator: ContinuousSimulator | None, arguments: dict[str, Any]
) -> tuple[ContinuousSplit, ContinuousSimulator, ContinuousSettings]:
    """Sort arguments into those of settings, simulator and split; open or load these."""
    check_argument_names(env, arguments, (*_OF_SPLIT, *_OF_SETTINGS, *_OF_BACKEND))
    own = {name: value for name, value in arguments.items() if name in _OF_SETTINGS}
    of_split = {name: value for name, value in arguments.items() if name not in own}
    settings = task_settings(of_split.get("dataset", "r2r"), **own)
    backend = {name: of_split.pop(name) for name in _OF_BACKEND if name in of_split}
    if simulator is not None and backend:
        raise UserError(f"{' and '.join(backend)} has no effect, because a simulator is passed")
    if simulator is None:
        simulator = open_simulator(settings, of_split.get("world", "houses"), **backend)
    return load_continuous_split(**of_split), simulator, settings

"""Simulators of continuous environments by the name of their backend."""

from pathlib import Path
from typing import Literal

from clipnav.envs.arguments import check_choice
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.settings import ContinuousSettings
from clipnav.envs.continuous.simulator import Simulator
from clipnav.envs.worlds import World, is_built_in
from clipnav.storage.errors import UserError

Backend = Literal["houses", "habitat"]


def open_simulator(
    settings: ContinuousSettings,
    world: World = "houses",
    backend: Backend = "houses",
    scan_dir: str | Path | None = None,
    habitat_python: str | Path | None = None,
    gpu_device_id: int | None = None,
) -> Simulator:
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
    from clipnav.envs.habitat.client import shared_server
    from clipnav.envs.habitat.interpreter import habitat_python as interpreter

    if scan_dir is None and not is_built_in(world):
        raise UserError(f"world {world!r} with backend='habitat' requires scan_dir, its 3D models")
    python = interpreter(habitat_python)  # reported before a house is built
    files = house_files if scan_dir is None else folder_files(Path(scan_dir))
    return HabitatSimulator(settings, files, shared_server(python, gpu_device_id))

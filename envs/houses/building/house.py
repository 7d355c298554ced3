"""One built-in house: build it from two seeds, save it and load it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.envs.houses.plan.floor_plan import FloorPlan, Outline
from clipnav.envs.houses.plan.storey_plans import make_floor_plan
from clipnav.envs.houses.shell.assembly import assemble
from clipnav.envs.models.glb import read_glb, write_glb
from clipnav.envs.models.scene import ObjectInfo, Scene
from clipnav.storage import cache_dir, write_text
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.json_files import read_json
from clipnav.storage.locks import waiting_lock

GENERATOR_VERSION = 2  # part of the cache path: increase it when equal seeds give other houses

_HINT = "delete it, and the house is built again"
_FURNISHING_TAG = 21
_LIGHTS_TAG = 42
_CLUTTER_TAG = 43


@dataclass(frozen=True)
class HouseSpec:
    """Specification of a house: its name, the seeds of its plan and style, and its options.

    Attributes:
        scan: Name of the house.
        plan_seed: Random seed of rooms, doors and windows.
        style_seed: Random seed of colours, textures and the shapes of furniture.
        outline: Shape of the ground plan: "rectangle", "l" or "t".
        storeys: Number of storeys, 1 or 2.
        open_plan: Whether wide openings join kitchen, dining room and living room.
    """

    scan: str
    plan_seed: int
    style_seed: int
    outline: Outline = "rectangle"
    storeys: int = 1
    open_plan: bool = False


@dataclass(frozen=True, eq=False)
class House:
    """A furnished and lit house."""

    spec: HouseSpec
    plan: FloorPlan
    scene: Scene


def build_house(spec: HouseSpec) -> House:
    """Build a house, a pure function of its specification and `GENERATOR_VERSION`."""
    from clipnav.envs.houses.furnishing.rooms import furnish, scatter
    from clipnav.envs.houses.lighting.baking import bake
    from clipnav.envs.houses.lighting.lights import find_lights
    from clipnav.envs.houses.materials.style import make_style
    from clipnav.envs.houses.materials.textures import make_textures

    seeds = [spec.plan_seed, spec.style_seed]
    plan, style = plan_of(spec), make_style(spec.style_seed)
    textures = make_textures(spec.style_seed)
    rng = np.random.default_rng([*seeds, _FURNISHING_TAG])
    placed = furnish(plan, rng, style, spec.scan)
    placed += scatter(plan, placed, np.random.default_rng([*seeds, _CLUTTER_TAG]), style)
    scene = assemble(plan, placed, style, textures)
    lights = find_lights(scene, plan, np.random.default_rng([*seeds, _LIGHTS_TAG]))
    return House(spec, plan, bake(scene, lights, spec.plan_seed))


@lru_cache(maxsize=64)  # the viewer asks for the plan whenever it shows a house
def plan_of(spec: HouseSpec) -> FloorPlan:
    """Return the floor plan of a house, which takes up to seconds."""
    return make_floor_plan(spec.plan_seed, spec.outline, spec.storeys, spec.open_plan)


def house_cache_dir() -> Path:
    """Return the folder of built houses, in `$CLIPNAV_CACHE` or else in ~/.cache/clipnav."""
    return cache_dir() / "houses" / f"v{GENERATOR_VERSION}"


def ensure_house(spec: HouseSpec, directory: Path, rebuild: bool = False) -> None:
    """Build a house in a folder unless it exists; wait if another process is building it."""
    if not rebuild and is_saved(spec, directory):
        return
    directory.mkdir(parents=True, exist_ok=True)
    glb, _ = _paths(spec.scan, directory)
    with waiting_lock(glb):
        if rebuild or not is_saved(spec, directory):
            save_house(build_house(spec), directory)


def save_house(house: House, directory: Path) -> None:
    """Write `<scan>.glb`, then `<scan>.json` with specification, plan and objects."""
    directory.mkdir(parents=True, exist_ok=True)
    glb, side_file = _paths(house.spec.scan, directory)
    side_file.unlink(missing_ok=True)  # an old side file must not describe the new GLB
    write_glb(house.scene, glb)
    record = {
        "generator_version": GENERATOR_VERSION,
        "spec": asdict(house.spec),
        "plan": house.plan.to_dict(),
        "objects": [asdict(info) for info in house.scene.objects],
    }
    write_text(side_file, json.dumps(record))


def is_saved(spec: HouseSpec, directory: Path) -> bool:
    """Return whether the folder contains the complete house of exactly this specification."""
    glb, side_file = _paths(spec.scan, directory)
    if not (glb.is_file() and side_file.is_file()):
        return False
    record = _read_side_file(side_file)
    return record["spec"] == asdict(spec) and record["generator_version"] == GENERATOR_VERSION


def load_house(scan: str, directory: Path) -> House:
    """Read a house that `save_house` wrote."""
    glb, side_file = _paths(scan, directory)
    for path in (glb, side_file):
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is missing; build it: clipnav build-houses --set SET --scans {scan}"
            )
    record = _read_side_file(side_file)
    try:
        spec, plan = HouseSpec(**record["spec"]), FloorPlan.from_dict(record["plan"])
        objects = tuple(map(ObjectInfo.from_dict, record["objects"]))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        problem = truncate(repr(error), 200)
        raise UserError(f"{side_file}: damaged ({problem}); {_HINT}") from error
    return House(spec, plan, read_glb(glb, objects))


def _paths(scan: str, directory: Path) -> tuple[Path, Path]:
    return Path(directory) / f"{scan}.glb", Path(directory) / f"{scan}.json"


def _read_side_file(path: Path) -> dict[str, Any]:
    record = read_json(path, _HINT, dict[str, Any])
    missing = {"generator_version", "spec", "plan", "objects"} - set(record)
    if missing:
        raise UserError(f"{path}: {', '.join(sorted(missing))} missing; {_HINT}")
    return record

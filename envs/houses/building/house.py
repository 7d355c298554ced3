"""One built-in house: from two seeds to a lit scene, and to disk and back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from envs.houses.building.glb import read_glb, write_glb
from envs.houses.meshes.scene import ObjectInfo, Scene
from envs.houses.plan.floor_plan import FloorPlan, Outline, make_floor_plan
from envs.houses.shell.assembly import assemble
from storage import cache_dir, write_text
from storage.json_files import read_json, shortened
from storage.locks import sole_maker

GENERATOR_VERSION = 1  # part of the cache's path: raise it when equal seeds give other houses

_REMEDY = "delete it and the house will be built again"
_FURNISHING_TAG = 21
_LIGHTS_TAG = 42
_CLUTTER_TAG = 43


@dataclass(frozen=True)
class HouseSpec:
    """What a house is made from: its name, the seeds of its plan and style, and its options.

    The defaults are those of the 40 houses that the project ships.

    Attributes:
        scan: name.
        plan_seed: of rooms, doors and windows.
        style_seed: of colours, textures and the shapes of furniture.
        outline: of the ground it covers: "rectangle", "l" or "t".
        storeys: 1 or 2.
        open_plan: kitchen, dining and living room open into each other nearly wall to wall.
        closed_doors: some doors are shut for good.
        clutter: small things lie on furniture and here and there on the floor.
        contact_shadows: floors are lit finely round the furniture.
        dense_graph: viewpoints lie as close together as in Matterport3D; see `viewpoints.DENSE`.
        clear_glass: showers have panes that one sees through.
        compact: fewer triangles and less furniture to a room, and JPEG textures in the file.
    """

    scan: str
    plan_seed: int
    style_seed: int
    outline: Outline = "rectangle"
    storeys: int = 1
    open_plan: bool = False
    closed_doors: bool = False
    clutter: bool = False
    contact_shadows: bool = False
    dense_graph: bool = False
    clear_glass: bool = False
    compact: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The fields that are not at their defaults, and the first three."""
        defaults = asdict(HouseSpec(self.scan, self.plan_seed, self.style_seed))
        named = ("scan", "plan_seed", "style_seed")
        mine = asdict(self)
        return {key: mine[key] for key in mine if key in named or mine[key] != defaults[key]}


@dataclass(frozen=True, eq=False)
class House:
    """A furnished and lit house."""

    spec: HouseSpec
    plan: FloorPlan
    scene: Scene


def build_house(spec: HouseSpec) -> House:
    """Builds a house; a pure function of the seeds and `GENERATOR_VERSION`."""
    from envs.houses.furnishing.clutter import scatter
    from envs.houses.furnishing.rooms import furnish
    from envs.houses.lighting.baking import bake
    from envs.houses.lighting.lights import find_lights
    from envs.houses.materials.style import make_style
    from envs.houses.materials.textures import make_textures

    seeds = [spec.plan_seed, spec.style_seed]
    plan, style = plan_of(spec), make_style(spec.style_seed)
    textures = make_textures(spec.style_seed)
    rng = np.random.default_rng([*seeds, _FURNISHING_TAG])
    placed = furnish(plan, rng, style, spec.compact, spec.clear_glass, spec.scan)
    if spec.clutter:
        placed += scatter(plan, placed, np.random.default_rng([*seeds, _CLUTTER_TAG]), style)
    scene = assemble(plan, placed, style, textures, spec.contact_shadows, spec.compact)
    lights = find_lights(scene, plan, np.random.default_rng([*seeds, _LIGHTS_TAG]))
    return House(spec, plan, bake(scene, lights, spec.plan_seed))


def plan_of(spec: HouseSpec) -> FloorPlan:
    """The floor plan of a house; takes milliseconds."""
    return make_floor_plan(
        spec.plan_seed, spec.outline, spec.storeys, spec.open_plan, spec.closed_doors
    )


def house_cache_dir() -> Path:
    """Folder of built houses: below `$CLIPNAV_CACHE`, else below ~/.cache/clipnav."""
    return cache_dir() / "houses" / f"v{GENERATOR_VERSION}"


def ensure_house(spec: HouseSpec, directory: Path, rebuild: bool = False) -> None:
    """Builds a house into a folder if it is not there; waits where another process builds it.

    Args:
        spec: what it is made from.
        directory: gets its files.
        rebuild: build it although it is there.
    """
    if not rebuild and is_saved(spec, directory):
        return
    directory.mkdir(parents=True, exist_ok=True)
    glb, _ = _paths(spec.scan, directory)
    with sole_maker(glb):
        if rebuild or not is_saved(spec, directory):
            save_house(build_house(spec), directory)


def save_house(house: House, directory: Path) -> None:
    """Writes `<scan>.glb`, then `<scan>.json` with seeds, plan and objects."""
    directory.mkdir(parents=True, exist_ok=True)
    glb, side_file = _paths(house.spec.scan, directory)
    side_file.unlink(missing_ok=True)  # the one of another house must not describe the new GLB
    write_glb(house.scene, glb, compact=house.spec.compact)
    record = {
        "generator_version": GENERATOR_VERSION,
        "spec": house.spec.to_dict(),
        "plan": house.plan.to_dict(),
        "objects": [asdict(info) for info in house.scene.objects],
    }
    write_text(side_file, json.dumps(record))


def is_saved(spec: HouseSpec, directory: Path) -> bool:
    """Whether the house of exactly these seeds lies complete in the folder."""
    glb, side_file = _paths(spec.scan, directory)
    if not (glb.is_file() and side_file.is_file()):
        return False
    record = _read_side_file(side_file)
    return record["spec"] == spec.to_dict() and record["generator_version"] == GENERATOR_VERSION


def load_house(scan: str, directory: Path) -> House:
    """Reads a house that `save_house` wrote.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: a file is damaged.
    """
    glb, side_file = _paths(scan, directory)
    for path in (glb, side_file):
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is missing; scripts/build_houses.py builds it, with the --set that has it "
                f"and --scans {scan}"
            )
    record = _read_side_file(side_file)
    try:
        spec, plan = HouseSpec(**record["spec"]), FloorPlan.from_dict(record["plan"])
        objects = tuple(map(ObjectInfo.from_dict, record["objects"]))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        problem = shortened(repr(error), 200)
        raise ValueError(f"{side_file}: damaged ({problem}); {_REMEDY}") from error
    return House(spec, plan, read_glb(glb, objects))


def _paths(scan: str, directory: Path) -> tuple[Path, Path]:
    return Path(directory) / f"{scan}.glb", Path(directory) / f"{scan}.json"


def _read_side_file(path: Path) -> dict[str, Any]:
    record = read_json(path, _REMEDY)
    if not isinstance(record, dict):
        raise ValueError(f"{path}: damaged, no JSON object; {_REMEDY}")
    missing = {"generator_version", "spec", "plan", "objects"} - set(record)
    if missing:
        raise ValueError(f"{path}: lacks {', '.join(sorted(missing))}; {_REMEDY}")
    return record

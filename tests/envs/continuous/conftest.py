"""Fixtures for the tests of the continuous environments."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from envs.continuous.floor import ContinuousFloor
from envs.houses.building.house import House, HouseSpec, plan_of
from envs.houses.materials.style import make_style
from envs.houses.materials.textures import make_textures
from envs.houses.shell.assembly import assemble


@pytest.fixture(scope="session")
def golden_floors(continuous_golden) -> dict[str, ContinuousFloor]:
    """Floors of the plans of the golden cases."""

    def flipped(boxes):
        return [(x0, -z1, x1, -z0) for x0, z0, x1, z1 in boxes]

    return {
        name: ContinuousFloor.of_boxes(flipped(plan["rooms"]), flipped(plan["holes"]), plan["y"])
        for name, plan in continuous_golden["plans"].items()
    }


@pytest.fixture(scope="session")
def room() -> ContinuousFloor:
    """Room of 4 m by 3 m; positions are those of the agent's centre."""
    return ContinuousFloor.of_boxes([(0.0, 0.0, 4.0, 3.0)])


@pytest.fixture(scope="session")
def two_storeys() -> House:
    """House of two storeys without furniture and light."""
    spec = HouseSpec("two", plan_seed=3102, style_seed=4102, outline="l", storeys=2, compact=True)
    plan, style = plan_of(spec), make_style(spec.style_seed)
    scene = assemble(plan, [], style, make_textures(spec.style_seed), compact=True)
    return House(spec, plan, scene)


@pytest.fixture(scope="session")
def two_storey_floor(two_storeys) -> ContinuousFloor:
    """Floor of the house of two storeys."""
    return ContinuousFloor.of_house(two_storeys)


@pytest.fixture(scope="session")
def random_starts():
    """Function that returns random centres of cells (N, 3) of a floor."""

    def draw(floor, count, seed=0):
        nodes = floor.graph.positions
        return nodes[np.random.default_rng(seed).integers(len(nodes), size=count)]

    return draw


@pytest.fixture(scope="session")
def continuous_golden(shared) -> dict:
    """Golden cases of continuous navigation.

    The environment variable CLIPNAV_GOLDEN_SYSTEMS names another folder.
    """
    folder = Path(os.environ.get("CLIPNAV_GOLDEN_SYSTEMS") or shared / "golden" / "systems")
    path = folder / "ce.json"
    if not path.is_file():
        pytest.skip(f"golden cases not found: {path}; set CLIPNAV_GOLDEN_SYSTEMS")
    return json.loads(path.read_text(encoding="utf-8"))

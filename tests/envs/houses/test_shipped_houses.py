"""The shipped houses are reproduced exactly, because graphs and features belong to them."""

import hashlib
import json
from dataclasses import asdict

import numpy as np

from clipnav.connectivity import read_connectivity
from clipnav.envs.houses.building.house import House, HouseSpec, plan_of
from clipnav.envs.houses.building.sets import MINI
from clipnav.envs.houses.furnishing.rooms import furnish
from clipnav.envs.houses.graph.viewpoints import place_viewpoints
from clipnav.envs.houses.materials.style import make_style
from clipnav.envs.houses.materials.textures import make_textures
from clipnav.envs.houses.shell.assembly import assemble
from clipnav.envs.panoramas.ray_tracer import RayTracer

PLANS = "6ad505ab57529e123d48136c2fc79c01836451481ea4ff1d08d2e4f4bb0c9b38"
SCAN = "house_00"
OBJECTS = "4e469fcfd78404c1715b088ad23d3e6ca2c8c7bd0fdbedf553d0bdbf49c3b57c"
TRIANGLES = 85388
SHAPES = "2019aaefb1763dc0ef50b1bf745c8c32c5aaec1b06a1bccd9de4a64098ad5284"


def digest(value) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def unlit_house(spec: HouseSpec) -> House:
    """Build a house without baking its light, the only slow step."""
    plan, style = plan_of(spec), make_style(spec.style_seed)
    rng = np.random.default_rng([spec.plan_seed, spec.style_seed, 21])
    placed = furnish(plan, rng, style)
    return House(spec, plan, assemble(plan, placed, style, make_textures(spec.style_seed)))


def test_plans_and_specs_of_the_shipped_houses_are_unchanged():
    assert digest([plan_of(spec).to_dict() for spec in MINI.specs.values()]) == PLANS
    for spec in MINI.specs.values():
        record = {"scan": spec.scan, "plan_seed": spec.plan_seed, "style_seed": spec.style_seed}
        assert spec.to_dict() == record


def test_a_shipped_house_and_its_graph_are_unchanged():
    house = unlit_house(MINI.specs[SCAN])
    scene = house.scene
    assert digest([asdict(info) for info in scene.objects]) == OBJECTS
    assert len(scene.faces) == TRIANGLES
    # Rounded to millimetres and hundredths, because the last bits depend on the machine.
    shape = [np.rint(scene.positions[::50] * 1e3), np.rint(scene.colours[::50] * 1e2)]
    parts = [(part.astype(int) + 0).tolist() for part in shape]
    assert digest([*parts, scene.faces[::50].tolist()]) == SHAPES
    assert place_viewpoints(house, RayTracer(scene)) == read_connectivity(SCAN)

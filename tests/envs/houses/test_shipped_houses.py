"""The shipped houses are reproduced exactly, because graphs and features belong to them."""

import hashlib
import json
from dataclasses import asdict

import numpy as np
import pytest

from clipnav.connectivity import read_connectivity
from clipnav.envs.houses.building.house import build_house, plan_of
from clipnav.envs.houses.building.sets import MINI
from clipnav.envs.houses.graph.viewpoints import place_viewpoints
from clipnav.envs.houses.lighting import baking
from clipnav.envs.panoramas.ray_tracer import RayTracer

PLANS = "a9d502a937510616c7b87104de545f945127e6052da3675bc15c2230ee52a213"
# Of houses 0, 10, 20 and 30: each outline, one storey and two, closed and open plans.
FOUR_PLANS = "451ecd5458560f9e646e8db86bf412b548b445fb1cfe954c05468da9c4cf9810"
SCAN = "house_00"
OBJECTS = "bf6b7602d04854b99ffb74ec7c5100b73ef9b741c9c8077443c7e18ac6bb987a"
TRIANGLES = 86518
SHAPES = "f5dbab3f13e69a51d13015dad0955cc95ecac72616958d624a19875b6098eb33"


def digest(value) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


@pytest.mark.parametrize(
    ("step", "plans"),
    [(10, FOUR_PLANS), pytest.param(1, PLANS, marks=pytest.mark.long)],
    ids=["four", "all"],
)
def test_plans_of_the_shipped_houses_are_unchanged(step, plans):
    specs = list(MINI.specs.values())[::step]
    assert digest([plan_of(spec).to_dict() for spec in specs]) == plans


def test_a_shipped_house_and_its_graph_are_unchanged(monkeypatch):
    monkeypatch.setattr(baking, "bake", lambda scene, *_: scene)  # the slowest step
    house = build_house(MINI.specs[SCAN])
    scene = house.scene
    assert digest([asdict(info) for info in scene.objects]) == OBJECTS
    assert len(scene.faces) == TRIANGLES
    # Rounded to millimetres and hundredths, because the last bits depend on the machine.
    shape = [np.rint(scene.positions[::50] * 1e3), np.rint(scene.colours[::50] * 1e2)]
    parts = [(part.astype(int) + 0).tolist() for part in shape]
    assert digest([*parts, scene.faces[::50].tolist()]) == SHAPES
    assert place_viewpoints(house, RayTracer(scene)) == read_connectivity(SCAN)

"""Replace houses by simple ones that are built fast."""

import numpy as np

from clipnav.connectivity import read_connectivity
from clipnav.envs.houses import house_set
from clipnav.envs.houses.building import house
from clipnav.envs.houses.building.house import House, HouseSpec
from clipnav.envs.houses.building.sets import set_of
from clipnav.envs.houses.instructions.annotation_files import guide_path, r2r_path, read_annotations
from clipnav.envs.houses.meshes.geometry import Material, box
from clipnav.envs.houses.plan.floor_plan import FloorPlan, Room
from clipnav.envs.houses.shell.assembly import scene_of_fixtures
from clipnav.envs.houses.shell.fixture import Fixture

THINGS = ("sofa", "chair", "floor_lamp", "armchair", "bed", "table")
TINTS = {"red": (0.8, 0.1, 0.1), "green": (0.1, 0.6, 0.2), "blue": (0.1, 0.2, 0.8)}


def small_house(spec: HouseSpec) -> House:
    """Build a house of boxes on a floor without walls."""
    rng = np.random.default_rng(spec.plan_seed)
    floor = box((40, 40, 0.1), Material("plain"), (10, 10, -0.1))
    fixtures = [Fixture("floor", 0, (floor,))]
    for _ in range(60):
        colour = str(rng.choice(list(TINTS)))
        x, y = rng.uniform(-4, 20, 2)
        size = tuple(rng.uniform(0.3, 1.0, 3))
        shape = box(size, Material("plain", TINTS[colour]), (x, y, size[2] / 2))
        fixtures.append(Fixture(str(rng.choice(THINGS)), 0, (shape,), colour))
    plan = FloorPlan(10, 10, (Room(0, "bedroom", 0, 0, 10, 10),), ())
    return House(spec, plan, scene_of_fixtures(fixtures, {"plain": np.ones((4, 4, 3), np.uint8)}))


def shipped_navigation(built: House) -> dict:
    """Return the graph and episodes of the built-in house with the same name."""
    scan = built.spec.scan
    home = set_of(scan)
    splits = {split: [] for split in home.splits}
    navigation = {"connectivity": read_connectivity(scan), "rxr": {}, **splits}
    for split in home.splits_of(scan):
        files = (r2r_path(home.data_dir, split), guide_path(home.data_dir, split))
        records, guides = (
            [record for record in read_annotations(path) if record["scan"] == scan]
            for path in files
        )
        navigation[split], navigation["rxr"][split] = records, guides
    return navigation


def use_small_houses() -> None:
    """Replace the functions that build houses in this process and the workers it forks."""
    house.build_house = small_house
    house_set.navigate = shipped_navigation

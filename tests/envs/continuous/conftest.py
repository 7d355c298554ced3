"""Fixtures for the tests of the continuous environments."""

import json
from functools import cache

import numpy as np
import pytest

from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.episodes import ContinuousEpisode, split_of_episodes
from clipnav.envs.continuous.floor.continuous_floor import ContinuousFloor
from clipnav.envs.continuous.settings import task_settings
from clipnav.envs.episodes.splits import load_split
from clipnav.envs.houses.building.house import House, HouseSpec, plan_of
from clipnav.envs.houses.materials.style import make_style
from clipnav.envs.houses.materials.textures import make_textures
from clipnav.envs.houses.shell.assembly import assemble
from clipnav.envs.tokenizers import WordTokenizer


@pytest.fixture(scope="session", autouse=True)
def kept_splits():
    """Keep the splits of most environments in memory, which share what is in use."""
    return [load_split(dataset, "val_unseen", features="none") for dataset in ("r2r", "rxr")]


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
    spec = HouseSpec("two", plan_seed=3102, style_seed=4102, outline="l", storeys=2)
    plan, style = plan_of(spec), make_style(spec.style_seed)
    scene = assemble(plan, [], style, make_textures(spec.style_seed))
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
def continuous_golden(golden_systems) -> dict:
    """Golden cases of continuous navigation."""
    return json.loads((golden_systems / "ce.json").read_text(encoding="utf-8"))


@cache
def box_floors() -> dict[str, ContinuousFloor]:
    """Floors of the two buildings of `BoxSimulator`, with all distances so far."""
    rooms = {"hall": [(0.0, 0.0, 10.0, 3.0)], "corner": [(0, 0, 2, 8), (0, 6, 8, 8)]}
    return {scan: ContinuousFloor.of_boxes(boxes) for scan, boxes in rooms.items()}


class BoxSimulator:
    """Two buildings: "hall" is 10 m x 3 m, "corner" an L; a camera sees its pose as colours."""

    def __init__(self, settings):
        self.settings = settings
        self.draws = []
        self.floors = box_floors()

    def floor(self, scan):
        return self.floors[scan]

    def draw(self, scans, positions, headings, tilts, sensors):
        self.draws.append((len(scans), tuple(sensors)))
        sizes = {"rgb": (*self.settings.rgb_size, 3), "depth": self.settings.depth_size}
        kinds = {"rgb": np.uint8, "depth": np.float32}
        drawn = {name: np.zeros((len(scans), *sizes[name]), kinds[name]) for name in sensors}
        if "rgb" in drawn:
            drawn["rgb"][:, 0, 0, 0] = np.rint(np.degrees(headings) % 360 / 2)
            drawn["rgb"][:, 0, 0, 1] = np.rint(10 * positions[:, 0])
        if "depth" in drawn:
            drawn["depth"][:, 0, 0] = positions[:, 0]
        return drawn


def box_episodes():
    paths = {
        "hall": [((1, 1, 0), (5, 1, 0), (9, 1, 0)), ((9, 2, 0), (4, 2, 0))],
        "corner": [((1, 1, 0), (1, 7, 0), (7, 7, 0)), ((7, 7, 0), (1, 7, 0), (1, 4, 0))],
    }
    texts = ["Walk along the hall.", "Turn around.", "Turn right at the end.", "Go back."]
    episodes, number = [], 0
    for scan, scan_paths in paths.items():
        for path in scan_paths:
            points = tuple(tuple(map(float, point)) for point in path)
            episodes.append(
                ContinuousEpisode(
                    *(str(number + 1), f"{number}_0", number, scan, points[0], np.pi / 2 * number),
                    *(points, texts[number], "en"),
                )
            )
            number += 1
    return episodes


@pytest.fixture
def box_split():
    """Split of four episodes in the buildings of `BoxSimulator`."""
    episodes = box_episodes()
    tokenizer = WordTokenizer.build([e.instruction for e in episodes], min_count=1)
    return split_of_episodes("r2r", episodes, tokenizer, 12)


@pytest.fixture
def make_box_env(box_split):
    """Function that builds a `ContinuousVectorEnv` in the two buildings with small pictures."""

    def build(num_envs=4, autoreset_mode="Disabled", encoder=None, split=None, **changes):
        sizes = {"rgb_size": (6, 8), "depth_size": (6, 8)}
        settings = task_settings("r2r", **{**sizes, **changes})
        simulator = BoxSimulator(settings)
        arguments = (split or box_split, simulator, num_envs, settings, autoreset_mode, encoder)
        return ContinuousVectorEnv(*arguments)

    return build

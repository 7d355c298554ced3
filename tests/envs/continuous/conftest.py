"""Fixtures for the tests of the continuous environments."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from envs.continuous.environments.vector_env import ContinuousVectorEnv
from envs.continuous.episodes import ContinuousEpisode, split_of_episodes
from envs.continuous.floor import ContinuousFloor
from envs.continuous.settings import task_settings
from envs.tokenizers import WordTokenizer


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


class BoxSimulator:
    """Two buildings: "hall" is 10 m x 3 m, "corner" an L; a camera sees its pose as colours."""

    def __init__(self, settings):
        self.settings = settings
        self.draws = []
        rooms = {"hall": [(0.0, 0.0, 10.0, 3.0)], "corner": [(0, 0, 2, 8), (0, 6, 8, 8)]}
        self.floors = {scan: ContinuousFloor.of_boxes(boxes) for scan, boxes in rooms.items()}

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

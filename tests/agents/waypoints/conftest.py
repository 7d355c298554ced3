"""A world of two little buildings with navigation graphs, for waypoint predictors."""

from types import SimpleNamespace

import numpy as np
import pytest

from clipnav.agents.waypoints import predictor_training
from clipnav.agents.waypoints.settings import PredictorConfig, PredictorNetworkConfig
from clipnav.envs.graphs.nav_graph import NavGraph
from tests.conftest import connectivity_records
from tests.envs.continuous.conftest import BoxSimulator


class DepthSimulator(BoxSimulator):
    """Its depth pictures are different, and do not depend on what else is drawn."""

    def draw(self, scans, positions, headings, tilts, sensors):
        drawn = super().draw(scans, positions, headings, tilts, sensors)
        for picture, position, heading in zip(drawn["depth"], positions, headings, strict=True):
            noise = np.random.default_rng(abs(int(1e4 * (position[0] + heading))))
            picture[:] = noise.uniform(0, 10, picture.shape)
        return drawn


def lattice(x_places, y_places):
    """Return a graph whose viewpoints have their neighbours in a lattice, 1.5 m above the floor."""
    places = {(i, j): (x, y, 1.5) for i, x in enumerate(x_places) for j, y in enumerate(y_places)}
    names = {place: f"{place[0]}_{place[1]}" for place in places}
    edges = [
        (names[i, j], names[near])
        for i, j in places
        for near in ((i + 1, j), (i, j + 1))
        if near in places
    ]
    return connectivity_records({names[k]: place for k, place in places.items()}, set(edges))


GRAPHS = {
    "hall": NavGraph("hall", lattice((1.1, 2.6, 4.1, 5.6, 7.1, 8.6), (0.6, 2.6))),
    "corner": NavGraph("corner", lattice((0.5, 1.5), (1, 3, 5))),
}


@pytest.fixture
def predictor_config(tmp_path) -> PredictorConfig:
    """Settings of a short run of a tiny predictor."""
    return PredictorConfig(
        depth_pixels=16,
        panoramas=2,
        iterations=4,
        evaluate_every=2,
        batch_size=3,
        output=tmp_path / "run",
        threads=1,
        network=PredictorNetworkConfig(
            hidden_size=16, heads=2, feed_forward_size=16, layers=1, depth_channels=8
        ),
    )


@pytest.fixture
def waypoint_world(monkeypatch):
    """Lets trainings run in the two buildings, the hall for training."""
    scans = {"train": ("hall",), "val_unseen": ("corner",)}
    monkeypatch.setitem(predictor_training.HOUSE_SETS, "houses", SimpleNamespace(scans=scans))
    monkeypatch.setattr(predictor_training, "NavGraph", SimpleNamespace(load=load_graph))
    monkeypatch.setattr(predictor_training, "HouseSimulator", DepthSimulator)


def load_graph(scan, folder):
    return GRAPHS[scan]

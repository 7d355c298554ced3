"""Fixtures: the world that the golden data of DUET was recorded in."""

from functools import cache

import pytest

from agents.map_transformer.geometry import MapGeometry
from envs.graphs.nav_graph import NavGraph
from envs.graphs.nav_world import NavWorld


@pytest.fixture(scope="session")
def geometry_of(shared):
    """Function that returns the geometry of real scans."""

    @cache
    def make(*scans):
        folder = shared / "data" / "matterport" / "connectivity"
        return MapGeometry.of(NavWorld([NavGraph.load(scan, folder) for scan in scans]))

    return make

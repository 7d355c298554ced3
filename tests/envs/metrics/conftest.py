"""Fixtures of the metrics' tests."""

import pytest

from clipnav.envs.graphs.nav_graph import NavGraph


@pytest.fixture(scope="module")
def attic(tiny_world):
    return NavGraph.load("attic", tiny_world / "matterport" / "connectivity")


@pytest.fixture(scope="module")
def barn(tiny_world):
    return NavGraph.load("barn", tiny_world / "matterport" / "connectivity")

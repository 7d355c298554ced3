"""States of walking agents against plain loops."""

import numpy as np
import pytest

from clipnav.agents.duet.states import fusion_matrix, view_directions
from clipnav.agents.maps.experts import path_targets
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.maps.known_maps import KnownMaps
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.graphs.nav_world import NavWorld


@pytest.fixture(scope="module")
def geometry():
    return MapGeometry.of(NavWorld([NavGraph.load(scan) for scan in ("house_00", "house_01")]))


def test_padding_of_candidates_adds_nothing():
    fusion = fusion_matrix(
        np.array([[-1, 0, 1, 2, -1]]), np.array([[1, -1, -1]]), np.array([[0, 1, 0, 0, 0]], bool)
    )
    assert fusion[0].sum(1).tolist() == [1, 0, 1, 0, 0]
    assert fusion[0, 2, 1] == 1


def test_path_targets_lead_along_a_path_with_a_loop(geometry):
    world, rows = geometry.world, np.array([0])
    start = 0
    neighbour = int(geometry.candidates[start, 0])
    path = [start, neighbour, start, neighbour]
    maps = KnownMaps(geometry, 1)
    for here, following in zip(path, [*path[1:], -1], strict=True):
        maps.visit(rows, np.array([here]))
        tokens = maps.tokens(rows, np.array([12]))
        target = path_targets(maps, rows, tokens, np.array([following]))[0]
        if following < 0:
            assert target == 0
        else:
            assert maps.nodes[0, tokens.slots[0, target]] == following
    outside = next(n for n in range(len(world)) if maps.slots_of(rows, np.array([n]))[0] < 0)
    with pytest.raises(ValueError, match="known map"):
        path_targets(maps, rows, tokens, np.array([outside]))


def test_directions_of_views_turn_with_the_agent(geometry):
    nodes = np.array([3, 3])
    ahead, types = view_directions(geometry, nodes, np.array([12, 15]))
    count, candidates = geometry.token_counts[3], geometry.candidate_counts[3]
    assert types[0].sum() == candidates
    angles = np.arctan2(ahead[:, :count, 0], ahead[:, :count, 1])
    turned = (angles[0] - angles[1] + np.pi) % (2 * np.pi) - np.pi
    np.testing.assert_allclose(turned, np.pi / 2, atol=1e-5)
    assert (ahead[:, count:] == 0).all()

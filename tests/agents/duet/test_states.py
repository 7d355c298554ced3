"""States of walking agents against plain loops."""

import numpy as np
import pytest

from clipnav.agents.duet.states import fusion_matrix, map_state, stack_states, view_directions
from clipnav.agents.maps.experts import path_targets
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.maps.known_maps import KnownMaps
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.graphs.nav_world import NavWorld


@pytest.fixture(scope="module")
def geometry():
    return MapGeometry.of(NavWorld([NavGraph.load(scan) for scan in ("house_00", "house_01")]))


def random_walk(geometry, episodes=5, steps=6, seed=0):
    """Yield maps, rows, views and panoramas of a walk to random unvisited nodes."""
    rng = np.random.default_rng(seed)
    rows, maps = np.arange(episodes), KnownMaps(geometry, episodes)
    nodes = rng.integers(len(geometry.world), size=episodes)
    panoramas = np.full((episodes, len(geometry.world)), -1)
    for step in range(steps):
        maps.visit(rows, nodes)
        panoramas[rows, maps.current[rows]] = step * episodes + rows
        yield maps, rows, rng.integers(36, size=episodes), panoramas
        unvisited = (maps.nodes >= 0) & (maps.visit_steps == 0)
        slots = np.where(unvisited, rng.random(unvisited.shape), -1.0).argmax(1)
        nodes = maps.nodes[rows, slots]


def fused_by_loop(state, local, row):
    """Fuse as DUET's loops do: [stop], candidates, and the sum of the ways back."""
    slots, candidates = state.tokens.slots[row], state.candidates[row]
    forbidden = set(slots[state.forbidden[row]])
    own = {c: local[j + 1] for j, c in enumerate(candidates) if c >= 0 and c not in forbidden}
    back = sum(local[j + 1] for j, c in enumerate(candidates) if c >= 0 and c in forbidden)
    fused = np.zeros(len(slots))
    fused[0] = local[0]
    for column, slot in enumerate(slots):
        if slot >= 0 and slot not in forbidden:
            fused[column] = own.get(slot, back)
    return fused


@pytest.mark.parametrize("revisits", [False, True])
def test_the_fusion_matrix_equals_a_loop(geometry, revisits):
    rng = np.random.default_rng(1)
    for maps, rows, views, panoramas in random_walk(geometry):
        state = map_state(maps, panoramas, rows, views, revisits)
        local = rng.normal(size=(len(rows), state.fusion.shape[2]))
        fused = np.einsum("rnc,rc->rn", state.fusion, local)
        for row in rows:
            np.testing.assert_allclose(fused[row], fused_by_loop(state, local[row], row), atol=1e-6)


def test_padding_of_candidates_adds_nothing():
    fusion = fusion_matrix(
        np.array([[-1, 0, 1, 2, -1]]), np.array([[1, -1, -1]]), np.array([[0, 1, 0, 0, 0]], bool)
    )
    assert fusion[0].sum(1).tolist() == [1, 0, 1, 0, 0]
    assert fusion[0, 2, 1] == 1


def test_node_sources_average_every_sighting_once(geometry):
    for maps, rows, views, panoramas in random_walk(geometry):
        state = map_state(maps, panoramas, rows, views)
        totals = np.zeros(state.tokens.slots.shape)
        np.add.at(totals, tuple(state.sources.visited), 1.0)
        np.add.at(totals, tuple(state.sources.seen), state.sources.seen_weights)
        np.testing.assert_allclose(totals, state.tokens.slots >= 0, atol=1e-6)
        order = np.array([maps.nodes[row, state.tokens.slots[row]] for row in rows])
        seen = order[tuple(state.sources.seen)]
        # The panorama of a sighting belongs to a viewpoint that has this node as a candidate.
        where = {
            panoramas[row, slot]: maps.nodes[row, slot]
            for row, slot in zip(*np.nonzero(panoramas >= 0), strict=True)
        }
        for node, panorama, rank in zip(
            seen, state.sources.seen_panoramas, state.sources.seen_ranks, strict=True
        ):
            assert geometry.candidates[where[panorama], rank] == node


def test_stacked_states_keep_the_values_of_each_step(geometry):
    states = [map_state(m, p.copy(), r, v) for m, r, v, p in random_walk(geometry)]
    stacked = stack_states(states)
    start = 0
    for state in states:
        rows = slice(start, start + len(state.rows))
        nodes, candidates = state.tokens.slots.shape[1], state.candidates.shape[1]
        for ours, alone in zip(stacked.tokens, state.tokens, strict=True):
            part = ours[rows][:, :nodes]
            part = part[..., :nodes] if ours is stacked.tokens.distances else part
            np.testing.assert_array_equal(part, alone)
        np.testing.assert_array_equal(stacked.fusion[rows, :nodes, : candidates + 1], state.fusion)
        assert not stacked.tokens.mask[rows, nodes:].any()
        start += len(state.rows)
    assert len(stacked.sources.visited[0]) == sum(len(s.sources.visited[0]) for s in states)


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

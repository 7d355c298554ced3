from itertools import pairwise

import numpy as np
import pytest

from clipnav.envs.graphs.routes import Routes
from clipnav.envs.houses.instructions.rxr_episodes import candidate_paths, choose_paths


@pytest.fixture(scope="module")
def pools(routes):
    return candidate_paths(routes)


def test_candidates_are_long_and_visit_no_viewpoint_twice(survey, routes, pools):
    shortest, detours = pools
    assert shortest
    for path in (*shortest, *detours):
        assert 8 <= len(path) - 1 <= 14
        assert len(set(path)) == len(path)
        assert all(survey.edges[a, b] for a, b in pairwise(path))
    assert all(path == routes.path(path[0], path[-1]) for path in shortest)
    # The graph of this house has no cycle, so that no detour exists.
    assert detours == []


def test_detours_exist_in_graphs_with_cycles(survey, routes):
    edges = survey.edges.copy()
    edges[9, 11] = edges[11, 9] = True  # connects kitchen and second bedroom
    routes_with_cycle = Routes.of(survey.cameras, edges)
    _, detours = candidate_paths(routes_with_cycle)
    assert (7, 6, 0, 1, 2, 3, 4, 5, 10, 11, 9) in detours
    for path in detours:
        assert path != routes_with_cycle.path(path[0], path[-1])


def test_chosen_paths_have_unique_pairs_and_varied_goals(survey, routes, pools):
    taken = {(7, 16)}
    paths = choose_paths(survey, pools, 8, taken, lambda path: path, np.random.default_rng(0))
    pairs = [(path[0], path[-1]) for path in paths]
    assert len(set(pairs)) == len(pairs) == 8
    assert (7, 16) not in pairs
    assert set(pairs) <= taken
    assert len({path[-1] for path in paths}) >= 4


def test_the_choice_skips_failed_paths_and_ends(survey, routes, pools):
    rng = np.random.default_rng(0)
    assert choose_paths(survey, pools, 5, set(), lambda path: None, rng) == []
    everything = choose_paths(survey, pools, 1000, set(), lambda path: path, rng)
    assert len(everything) == len({(path[0], path[-1]) for path in pools[0]})

from dataclasses import replace

import numpy as np
import pytest

from clipnav.envs.houses.plan.elements import STAIRWELL
from clipnav.envs.houses.survey.routes import choose_episodes


def test_routes_are_shortest_and_check_the_limits_of_r2r(routes):
    assert routes.path(7, 9) == (7, 6, 0, 1, 2, 8, 9)
    assert routes.lengths[7, 9] == pytest.approx(12)
    assert routes.fits_r2r(routes.path(7, 9))
    assert not routes.fits_r2r(routes.path(6, 1))  # 2 edges


def test_episodes_with_one_start_have_distant_goals(survey, routes):
    taken: set[tuple[int, int]] = set()
    rng = np.random.default_rng(0)
    paths = choose_episodes(survey, routes, 12, 4, taken, lambda path: path, rng)
    assert len(paths) == len(set(paths)) == 12
    assert {(path[0], path[-1]) for path in paths} <= taken
    assert all(routes.fits_r2r(path) for path in paths)
    goals = {}
    for path in paths:
        goals.setdefault(path[0], []).append(path[-1])
    for ends in goals.values():
        apart = [routes.lengths[a, b] for a in ends for b in ends if a != b]
        assert min(apart, default=9) > 3.0


def test_a_house_with_few_paths_returns_fewer_episodes(survey, routes):
    rng = np.random.default_rng(0)
    starts = range(len(survey.viewpoints))
    paths = choose_episodes(survey, routes, 1000, 4, set(), lambda path: path, rng)
    assert len(paths) <= sum(routes.fits_r2r(path) for s in starts for path in routes.from_start(s))
    assert choose_episodes(survey, routes, 5, 4, set(), lambda path: None, rng) == []


def test_a_path_ends_on_stairs_only_if_its_start_has_no_other(survey, routes):
    kinds = list(survey.room_kinds)
    kinds[0] = STAIRWELL  # otherwise the room of several goals
    house = replace(survey, room_kinds=tuple(kinds))

    def ends_on_stairs(path):
        return house.room_kind(path[-1]) == STAIRWELL

    # Each start once.
    rng = np.random.default_rng(0)
    paths = choose_episodes(house, routes, 10, 1, set(), lambda path: path, rng)
    assert len({path[0] for path in paths}) == 10
    for path in paths:
        others = filter(routes.fits_r2r, routes.from_start(path[0]))
        assert not ends_on_stairs(path) or all(map(ends_on_stairs, others))
    assert not all(map(ends_on_stairs, paths))

from types import SimpleNamespace

import numpy as np

from clipnav.envs.houses.plan.storey_plans import make_floor_plan
from clipnav.envs.houses.rendering.plan_drawing import draw_plan


def bare_house(outline: str, storeys: int) -> SimpleNamespace:
    plan = make_floor_plan(4, outline, storeys)  # type: ignore[arg-type]
    return SimpleNamespace(plan=plan, scene=SimpleNamespace(objects=()))


def test_a_drawn_plan_covers_exactly_its_outline():
    for outline in ("rectangle", "l", "t"):
        house = bare_house(outline, 1)
        picture = draw_plan(house, 0, (300, 400))
        assert picture.shape == (300, 400, 3)
        painted = (picture != 255).any(axis=2)
        rows, columns = np.flatnonzero(painted.any(1)), np.flatnonzero(painted.any(0))
        within = painted[rows[0] : rows[-1], columns[0] : columns[-1]].mean()
        covered = sum(room.area for room in house.plan.rooms)
        assert abs(within - covered / (house.plan.width * house.plan.depth)) < 0.03


def test_viewpoints_show_on_their_storey():
    house = bare_house("rectangle", 2)
    bare = [draw_plan(house, storey, (300, 400)) for storey in (0, 1)]
    x, y = house.plan.rooms[1].centre
    pose = [1, 0, 0, x, 0, 1, 0, y, 0, 0, 1, 1.5, 0, 0, 0, 1]
    records = [{"pose": pose, "unobstructed": [False]}]
    marked = [draw_plan(house, storey, (300, 400), records) for storey in (0, 1)]
    changed = (bare[0] != marked[0]).any(axis=2)
    assert 10 < changed.sum() < 80
    assert (bare[1] == marked[1]).all()

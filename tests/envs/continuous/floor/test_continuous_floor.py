"""Floors of houses: what is free, projection, clearance, stairs and separate pieces."""

import numpy as np
import pytest

from clipnav.envs.continuous.floor import ContinuousFloor
from clipnav.envs.continuous.floor.continuous_floor import grid_of_boxes, largest_piece
from clipnav.envs.continuous.floor.neighbours import cell_graph
from clipnav.envs.houses.plan.elements import STAIRWELL


def test_border_and_clearance_of_a_room(room):
    points = np.array([[0.0, 1.0, 0.0], [-0.01, 1.0, 0.0], [1.0, 1.2, 0.0], [3.9, 2.0, 0.0]])
    assert room.contains(points).tolist() == [True, False, True, True]
    np.testing.assert_allclose(room.clearance(points[1:]), [0.0, 1.0, 0.1], atol=1e-6)


def test_projection(room):
    outside = np.array([[-0.5, 1.5, 0.7], [2.0, 3.4, 0.0], [1.0, 1.0, -2.0]])
    projected = room.project(outside)
    np.testing.assert_allclose(projected[:2], [[0, 1.5, 0], [2, 3, 0]], atol=0.03)
    assert projected[2].tolist() == [1.0, 1.0, 0.0]
    assert room.contains(projected).all()


def test_only_the_largest_piece_counts():
    boxes = [(0.0, 0.0, 4.0, 3.0), (4.5, 0.0, 5.5, 1.0), (6.0, 0.0, 6.02, 3.0)]
    grid = grid_of_boxes(boxes, [], 0.0, 0.0)
    floor = ContinuousFloor(*largest_piece(grid, cell_graph(grid)))
    inside, apart = np.array([[1.0, 1.0, 0.0]]), np.array([[5.0, 0.5, 0.0], [6.01, 1.0, 0.0]])
    assert floor.contains(inside)[0]
    assert not floor.contains(apart).any()
    assert floor.project(apart)[:, 0].max() <= 4.0 + 1e-6


def test_a_floor_without_room_for_the_agent_is_refused():
    grid = grid_of_boxes([(0.0, 0.0, 4.0, 3.0)], [], 0.0, radius=2.0)
    with pytest.raises(ValueError, match="no room for the agent; choose a smaller agent_radius"):
        largest_piece(grid, cell_graph(grid))


def test_rooms_of_both_storeys_are_on_the_floor(two_storeys, two_storey_floor):
    rooms = [room for room in two_storeys.plan.rooms if room.kind != STAIRWELL]
    centres = np.array([[*room.centre, room.floor] for room in rooms])
    assert two_storey_floor.contains(centres).all()
    assert np.isfinite(two_storey_floor.distances(centres, centres[0])).all()
    np.testing.assert_allclose(two_storey_floor.project(centres), centres)


def test_walls_and_rail_are_no_floor(two_storeys, two_storey_floor):
    room, stairs = two_storeys.plan.rooms[0], two_storeys.plan.stairs[0]
    in_wall = np.array([room.x0, (room.y0 + room.y1) / 2, 0.0])
    rail = np.array([*stairs.point(0.0, 1.0), 0.7])
    below_the_head = np.array([*stairs.point(-stairs.first_side * stairs.flight_middle, 0.05), 0.0])
    beside_the_head = np.array([*stairs.point(stairs.first_side * stairs.flight_middle, 0.0), 2.9])
    points = np.array([in_wall, rail, below_the_head, beside_the_head])
    assert not two_storey_floor.contains(points).any()

"""Navigation meshes and steps against Recast and Detour, see `recast_golden.mjs`."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from clipnav.envs.continuous.floor.continuous_floor import ContinuousFloor
from clipnav.envs.continuous.floor.geodesics import cell_graph
from clipnav.envs.continuous.floor.grid import grid_of_mesh
from clipnav.envs.continuous.floor.navmesh import NavMesh, mesh_of_boxes, mesh_of_triangles
from clipnav.envs.continuous.floor.triangles import TriangleFloor
from clipnav.envs.continuous.floor.voxels import MeshSettings

STEP = 0.25
FANS = [[0, 1, 2], [0, 2, 3]]
_FLOATS = 0.05  # metres of the mesh above the floor: a voxel


@pytest.fixture(scope="module")
def golden() -> dict:
    return json.loads(
        gzip.decompress(Path(__file__).with_name("recast_golden.json.gz").read_bytes())
    )


@pytest.fixture(scope="module")
def room(golden) -> tuple[np.ndarray, NavMesh]:
    """Lower corner of the made-up room, and its mesh."""
    positions = from_recast(np.array(golden["vertices"]).reshape(-1, 3)).astype(np.float32)
    faces = np.array(golden["triangles"]).reshape(-1, 3)
    inner = np.array([positions.min(axis=0), positions.max(axis=0)])[:, :2]
    return positions, mesh_of_triangles(positions, faces, inner, MeshSettings())


@pytest.fixture(scope="module")
def floor(room) -> ContinuousFloor:
    mesh, others = room[1].parts()
    grid = grid_of_mesh(mesh, [_FLOATS])
    return ContinuousFloor(mesh, grid, cell_graph(grid), others)


def from_recast(points: np.ndarray) -> np.ndarray:
    x, y, z = np.asarray(points, float).T
    return np.stack([x, -z, y], axis=1)


def test_the_polygons_are_recasts(golden, room):
    positions, mesh = room
    lower = np.array([positions[:, 0].min(), -positions[:, 1].max(), positions[:, 2].min()])
    x, y, z = mesh.corners.T
    voxels = np.rint((np.stack([x, z, -y], axis=1) - lower[[0, 2, 1]]) / 0.05).astype(int)

    def plan(corners):  # heights may differ by a voxel where the removed border was higher
        return frozenset((int(x), int(z)) for x, _, z in corners)

    ours = {plan(voxels[list(polygon)]) for polygon in mesh.polygons}
    assert ours == set(map(plan, golden["polygons"]))


def recorded(golden, sliding):
    """Return starts, headings and ends of the recorded steps, walk by walk."""
    for walk in golden["walks"]:
        if walk["sliding"] == sliding:
            steps = np.array(walk["steps"])
            headings = -steps[:, 0] * np.pi / 12
            yield from_recast(steps[:, 1:4]), headings, from_recast(steps[:, 4:])


@pytest.mark.parametrize("sliding", [True, False])
def test_each_step_is_detours(golden, floor, sliding):
    start, heading, end = (np.concatenate(v) for v in zip(*recorded(golden, sliding), strict=True))
    start[:, 2] = _FLOATS  # as if no platform could be stepped on, which floors do not know
    moved, collided = floor.step(start, heading, STEP, sliding)
    errors = np.linalg.norm((moved - end)[:, :2], axis=1)
    blocked = ((end - start)[:, :2] ** 2).sum(axis=1) + 1e-5 < STEP**2
    assert blocked.mean() > 0.5  # most steps meet a wall
    assert np.mean(errors < 1e-5) >= 0.998
    assert np.mean(collided == blocked) >= 0.998


def test_steps_on_triangles_are_those_on_polygons(golden, room):
    mesh, rng = room[1], np.random.default_rng(0)
    fans = [[p[0], p[k], p[k + 1]] for p in mesh.polygons for k in range(1, len(p) - 1)]
    fans = [fan[::-1] if rng.random() < 0.5 else fan for fan in fans]
    triangles = TriangleFloor(mesh.corners[np.array(fans)])
    start, heading, end = (np.concatenate(v) for v in zip(*recorded(golden, False), strict=True))
    start[:, 2] = _FLOATS
    to = start + STEP * np.stack([np.sin(heading), np.cos(heading), 0 * heading], axis=1)
    moved = triangles.steps(start, to, start)
    errors = np.linalg.norm((moved - end)[:, :2], axis=1)
    assert np.mean(errors < 1e-5) >= 0.998


@pytest.mark.parametrize("heading", [0.4, 2.0, np.pi / 2, 4.4])
def test_steps_on_triangles_climb_and_stay_on_their_storey(heading):
    ramp = np.array([[0, 0, 0], [4, 0, 0], [4, 4, 2], [0, 4, 2]])
    offsets = np.array([[0, 0, 0], [0, 0, 3], [5, 0, 0]])  # above and beside
    floor = TriangleFloor((ramp + offsets[:, None])[:, FANS].reshape(-1, 3, 3).astype(float))
    way = STEP * np.array([np.sin(heading), np.cos(heading), 0])
    for height in (0.0, 3.0):
        start = np.array([[2.0, 2.0, 1.0 + height]])
        moved = floor.steps(start, start + way, start)
        np.testing.assert_allclose(moved[0, :2], (start + way)[0, :2], atol=1e-12)
        np.testing.assert_allclose(moved[0, 2], height + moved[0, 1] / 2, atol=1e-9)
    start, there = np.array([[3.95, 2.0, 1.0]]), np.array([[5.0, 2.0, 1.0]])
    away = np.array([[4.5, 2.0, 1.0]])
    for one, target in ((start, there), (start, away), (away, start)):
        np.testing.assert_allclose(floor.steps(one, one + way, target), one, atol=1e-9)


def test_whole_walks_have_the_length_of_detours(golden, floor):
    lengths, stuck = [], []
    for start, headings, end in recorded(golden, True):
        position, moves = start[:1], []
        for heading in headings:
            moved, _ = floor.step(position, np.array([heading]), STEP, True)
            moves.append(np.linalg.norm((moved - position)[0, :2]))
            position = moved
        theirs = np.linalg.norm((end - start)[:, :2], axis=1)
        lengths.append((sum(moves), theirs.sum()))
        stuck.append((np.mean(np.array(moves) < 0.01), np.mean(theirs < 0.01)))
    ours, theirs = np.array(lengths).T
    assert abs(ours.sum() / theirs.sum() - 1) < 0.05
    assert abs(np.diff(np.mean(stuck, axis=0))[0]) < 0.03


def test_no_step_crosses_a_gap():
    floor = ContinuousFloor.of_boxes([(0.0, 0.0, 2.0, 3.0), (2.05, 0.0, 4.0, 3.0)])
    at_gap = np.array([[1.99, 1.5, 0.0]])
    for sliding in (True, False):
        moved, collided = floor.step(at_gap, np.array([np.pi / 2]), STEP, sliding)
        np.testing.assert_allclose(moved[0, :2], [2.0, 1.5], atol=1e-9)
        assert collided[0]


def test_an_agent_that_walks_towards_another_piece_of_floor_stays():
    mesh, others = mesh_of_boxes([(0.0, 0.0, 2.0, 3.0), (2.1, 0.0, 3.0, 3.0)], [], 0.0, 0.0).parts()
    grid = grid_of_mesh(mesh, [0.0])
    floor = ContinuousFloor(mesh, grid, cell_graph(grid), others)
    start = np.array([[1.95, 1.5, 0.0], [1.8, 1.5, 0.0]])
    moved, collided = floor.step(start, np.full(2, np.pi / 2), STEP, True)
    assert collided.all()
    # The first step would end on the other piece, the second one nearer to the own floor.
    np.testing.assert_allclose(moved, [[1.95, 1.5, 0.0], [2.0, 1.5, 0.0]])

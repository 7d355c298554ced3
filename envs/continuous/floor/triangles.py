"""TriangleFloor: steps without sliding on the triangles of a navigation mesh."""

import numpy as np

from clipnav.envs.continuous.floor.navmesh import NavMesh

_SAME = 3  # digits, in metres, of corners that triangles share
_BESIDE = 1e-3  # metres beside a triangle that still count as on it


class TriangleFloor:
    """Triangles that touch along whole edges, as habitat-sim returns them from its mesh."""

    def __init__(self, triangles: np.ndarray) -> None:
        """Join triangles (T, 3, 3), z up, at equal corners."""
        sides = triangles[:, 1:, :2] - triangles[:, :1, :2]
        is_clockwise = sides[:, 0, 0] * sides[:, 1, 1] < sides[:, 0, 1] * sides[:, 1, 0]
        triangles = np.where(is_clockwise[:, None, None], triangles[:, ::-1], triangles)
        corners = triangles.reshape(-1, 3)
        _, first, index = np.unique(
            corners.round(_SAME), axis=0, return_index=True, return_inverse=True
        )
        self._mesh = NavMesh(corners[first], index.reshape(-1, 3).tolist())
        corners = corners[first][index.reshape(-1, 3)]
        ways = np.roll(corners, -1, axis=1) - corners
        lengths = np.maximum(np.hypot(ways[..., 0], ways[..., 1]), 1e-9)[..., None]
        # Of each edge: a point, and the direction to the right, which is outwards.
        self._points = corners[..., :2]
        self._outwards = np.stack([ways[..., 1], -ways[..., 0]], axis=-1) / lengths
        margin = np.array([_BESIDE, _BESIDE, 0.0])
        self._lower, self._upper = corners.min(axis=1) - margin, corners.max(axis=1) + margin

    def steps(self, starts: np.ndarray, ends: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return where agents get that walk straight to ends (N, 3), as far as the first wall.

        Args:
            starts: (N, 3) points on the floor; those beside it stay.
            targets: (N, 3) points of the floor nearest to the ends. Who walks towards another piece
                of floor stays.
        """
        result = starts.copy()
        rows = zip(self._triangles(starts), self._triangles(targets), strict=True)
        for row, (here, there) in enumerate(rows):
            if min(here, there) >= 0 and self._mesh.pieces[here] == self._mesh.pieces[there]:
                (x, y), (to_x, to_y) = starts[row, :2].tolist(), ends[row, :2].tolist()
                result[row, :2] = self._mesh.go(here, (x, y), (to_x, to_y))
        for row, here in enumerate(self._triangles(result)):
            if here >= 0:
                result[row, 2] = self._mesh.height(here, result[row : row + 1, :2])[0]
        return result

    def _triangles(self, points: np.ndarray) -> list[int]:
        """Return the triangle at each of the points (N, 3), of the nearest storey; -1 for none."""
        found = []
        for point in points:
            near = (point[:2] >= self._lower[:, :2]) & (point[:2] <= self._upper[:, :2])
            rows = np.flatnonzero(near.all(axis=1))
            outside = ((point[:2] - self._points[rows]) * self._outwards[rows]).sum(axis=2)
            beside = np.maximum(outside.max(axis=1), 0.0)
            rows, beside = rows[beside <= _BESIDE], beside[beside <= _BESIDE]
            rise = np.maximum(self._lower[rows, 2] - point[2], point[2] - self._upper[rows, 2])
            costs = beside + np.maximum(rise, 0.0)
            found.append(int(rows[costs.argmin()]) if rows.size else -1)
        return found

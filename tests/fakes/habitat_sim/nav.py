"""Fake navigation meshes: every scene has a level floor of 12 x 11 m around the origin.

With FAKE_HABITAT_STICKS in the environment, steps without sliding follow the rule of 0.3.4: they
end where they cross a wall nearest to their end, which is the wall on which they start. Otherwise
they follow that of all packages to 0.3.3.
"""

import json
import os

import numpy as np

HALF_X, HALF_Z = 6.0, 5.5
FARTHEST = 10.0  # metres from which a point is snapped


class NavMeshSettings:
    __slots__ = (
        "agent_height",
        "agent_max_climb",
        "agent_max_slope",
        "agent_radius",
        "cell_height",
        "cell_size",
    )

    def set_defaults(self):
        self.agent_height, self.agent_radius = 1.5, 0.1
        self.agent_max_climb, self.agent_max_slope = 0.2, 45.0
        self.cell_size, self.cell_height = 0.05, 0.2


class ShortestPath:
    def __init__(self):
        self.requested_start = self.requested_end = None
        self.points, self.geodesic_distance = [], np.inf


class PathFinder:
    def __init__(self):
        self.is_loaded = False

    def build(self, settings):
        # A floor 0.2 m too high, as habitat's own default of the cell height gives.
        self.level = settings.cell_height if settings.cell_height > 0.1 else 0.0
        self.half = np.array([HALF_X, HALF_Z]) - settings.agent_radius
        self.is_loaded = True

    def save_nav_mesh(self, path):
        with open(path, "w") as file:
            json.dump([self.level, *self.half], file)

    def load_nav_mesh(self, path):
        try:
            with open(path) as file:
                self.level, *half = json.load(file)
        except ValueError:
            return False
        self.half, self.is_loaded = np.array(half), True
        return True

    def snap_point(self, point):
        flat = np.clip(point[[0, 2]], -self.half, self.half)
        snapped = np.array([flat[0], self.level, flat[1]])
        near = np.linalg.norm(snapped - point) <= FARTHEST
        return snapped if near else np.full(3, np.nan)

    def is_navigable(self, point, max_y_delta=0.5):
        inside = (np.abs(point[[0, 2]]) <= self.half + 1e-6).all()
        return bool(inside and abs(point[1] - self.level) <= max_y_delta)

    def distance_to_closest_obstacle(self, point, max_search_radius=2.0):
        return min(max_search_radius, float((self.half - np.abs(point[[0, 2]])).min()))

    def try_step(self, start, end):
        return self.snap_point(end)

    def try_step_no_sliding(self, start, end):
        way = end - start
        if os.environ.get("FAKE_HABITAT_STICKS"):
            shares = [
                (side * self.half[number] - start[axis]) / way[axis]
                for number, axis in enumerate((0, 2))
                for side in (-1, 1)
                if way[axis]
            ]
            crossed = [share for share in shares if -1e-6 <= share <= 1]
            return start + max(crossed, default=1.0) * way
        shares = [1.0]
        for number, axis in enumerate((0, 2)):
            border = np.copysign(self.half[number], way[axis])
            if abs(end[axis]) > abs(border) and way[axis]:
                shares.append((border - start[axis]) / way[axis])
        return start + min(shares) * way

    def build_navmesh_vertices(self):
        (x, z), y = self.half, self.level
        a, b, c, d = ([x, y, z], [x, y, -z], [-x, y, -z], [-x, y, z])
        return np.array([a, b, c, a, c, d], np.float32)

    def build_navmesh_vertex_indices(self):
        return list(range(6))

    def find_path(self, path):
        if not self.is_navigable(path.requested_end):
            return False
        path.points = [path.requested_start, path.requested_end]
        path.geodesic_distance = float(np.linalg.norm(path.requested_end - path.requested_start))
        return True

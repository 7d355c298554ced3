"""Observations of pictures: what the agent's camera shows, its candidates, or all 36 views."""

from functools import lru_cache
from typing import Any

import numpy as np
from gymnasium import spaces

from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.observations import POSE_SPACE, Observation, fill_poses
from clipnav.envs.navigation.settings import EnvSettings
from clipnav.envs.pictures.view_pictures import ViewPictures, ViewPose
from clipnav.envs.pictures.world_pictures import shared_pictures
from clipnav.envs.worlds import WorldFiles
from clipnav.storage.features.view_grid import NUM_VIEWS, VIEW_HEADINGS, view_direction

_Arrays = dict[str, np.ndarray]


def observed_pictures(files: WorldFiles, settings: EnvSettings) -> ViewPictures:
    """Return the pictures that an environment with these settings observes.

    Environments of one process with equal settings share them.
    """
    vfov = float(np.deg2rad(settings.field_of_view))
    return shared_pictures(files, settings.pictures, settings.scan_dir, settings.image_shape, vfov)


class PictureObserver:
    """Observes pictures instead of features.

    Nothing is rendered before the first observation. The pictures of the last B different states
    are kept, so that agents which stay where they are are not drawn again.
    """

    def __init__(
        self, world: NavWorld, pictures: ViewPictures, settings: EnvSettings, num_agents: int
    ) -> None:
        self._arguments = world, pictures, settings, num_agents
        self._world, self._pictures, self._settings = world, pictures, settings
        self._draw = lru_cache(num_agents)(self._drawn)

    def space(self) -> dict[str, spaces.Space[Any]]:
        """Return the spaces of one agent's observation."""
        actions, shape = self._world.num_actions, self._pictures.shape

        def colours(*leading: int) -> spaces.Box:
            return spaces.Box(0, 255, (*leading, *shape, 3), np.uint8)

        if self._settings.observe == "candidate_rgb":
            low = np.tile(np.array([-np.pi, -np.pi / 2], np.float32), (actions, 1))
            return {
                "candidate_rgb": colours(actions),
                "candidate_angle": spaces.Box(low, -low, dtype=np.float32),
                "candidate_distance": spaces.Box(0.0, np.inf, (actions,), np.float32),
                **POSE_SPACE,
            }
        if self._settings.observe == "panorama_rgb":
            return {"panorama_rgb": colours(NUM_VIEWS), **POSE_SPACE}
        if self._settings.observe == "rgb":
            return {"rgb": colours(), **POSE_SPACE}
        depth = spaces.Box(0.0, self._settings.max_depth, (*shape, 1), np.float32)
        return {"rgb": colours(), "depth": depth, **POSE_SPACE}

    def observe(self, nodes: np.ndarray, views: np.ndarray, out: Observation) -> None:
        """Write the observations of B agents.

        Args:
            nodes: (B,) nodes of the agents.
            views: (B,) views 0..35 that the agents face.
        """
        fill_poses(views, out)
        for agent, (node, view) in enumerate(zip(nodes.tolist(), views.tolist(), strict=True)):
            # Only egocentric pictures depend on the direction that the agent faces.
            key = view if self._settings.observe in ("rgb", "rgbd") else 0
            for name, picture in self._draw(node, key).items():
                out[name][agent] = picture
        if self._settings.observe == "candidate_rgb":
            world = self._world
            angles = world.candidate_directions[nodes].copy()  # (B, K, 2)
            relative = np.pi - angles[..., 0] + VIEW_HEADINGS[views, None]
            angles[..., 0] = np.pi - relative % (2 * np.pi)
            real = world.valid[nodes].copy()
            real[:, 0] = False
            out["candidate_angle"][:] = np.where(real[..., None], angles, 0.0)
            out["candidate_distance"][:] = world.distance(nodes[:, None], world.targets[nodes])

    def _drawn(self, node: int, view: int) -> _Arrays:
        world, observe = self._world, self._settings.observe
        if observe == "panorama_rgb":
            views = self._pictures.views36(world.scan_names[node], world.viewpoint_ids[node])
            return {"panorama_rgb": views}
        if observe == "candidate_rgb":
            pictures = np.zeros((world.num_actions, *self._pictures.shape, 3), np.uint8)
            actions = np.flatnonzero(world.valid[node])[1:]
            if self._settings.geometry == "matterport":
                directions = [view_direction(seen) for seen in world.views[node, actions].tolist()]
            else:
                directions = world.candidate_directions[node, actions].tolist()
            pictures[actions] = self._pictures.rgb([self._pose(node, *way) for way in directions])
            return {"candidate_rgb": pictures}
        poses = [self._pose(node, float(VIEW_HEADINGS[view]), 0.0)]
        arrays = {"rgb": self._pictures.rgb(poses)[0]}
        if observe == "rgbd":
            depth = np.nan_to_num(self._pictures.depth(poses)[0], nan=0.0, posinf=np.inf)
            arrays["depth"] = depth.clip(0.0, np.float32(self._settings.max_depth))[..., None]
        return arrays

    def _pose(self, node: int, heading: float, elevation: float) -> ViewPose:
        world = self._world
        return ViewPose(world.scan_names[node], world.viewpoint_ids[node], heading, elevation)

    def __reduce__(self) -> tuple[Any, ...]:
        return PictureObserver, self._arguments

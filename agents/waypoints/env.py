"""Continuous episodes in which an agent chooses among the places around it.

They are computed from the floor, or predicted from pictures (`waypoints.predictor`).

It has what `clipnav.agents.acting.rollout.walk` and the follower require of an environment on
graphs, so that a follower which was trained on graphs walks without a graph.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from gymnasium.vector import AutoresetMode

from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.episodes import ContinuousSplit
from clipnav.envs.continuous.experts import waypoint_actions
from clipnav.envs.continuous.floor.continuous_floor import ContinuousFloor
from clipnav.envs.continuous.settings import STOP, ContinuousSettings
from clipnav.envs.continuous.simulator import ContinuousSimulator
from clipnav.envs.graphs import wrap_angle
from clipnav.envs.graphs.candidates import start_views
from clipnav.envs.navigation.device_features import DeviceView
from clipnav.envs.navigation.observations import angle_feature, panorama_angles, view_angles
from clipnav.storage.features.view_grid import (
    NUM_HEADINGS,
    NUM_VIEWS,
    STEP,
    VIEW_ELEVATIONS,
    VIEW_HEADINGS,
)

MOST_PLACES = 5  # as many as the waypoint predictor of Hong et al. (CVPR 2022) proposes
MOST_DECISIONS = 15  # as in ETPNav for R2R-CE
_FARTHEST, _NEAREST = 2.25, 0.75  # metres; edges of R2R's graphs have a mean of 2.25 m
_BEFORE_OBSTACLES = 0.25  # metres between a place and the end of the straight walk
_APART = np.pi / 4  # radians between two places
_DIRECTIONS = 60
_SAME_PLACE = 1.0  # metres within which an earlier place counts as visited again
_IDS = 1000  # ids of places of an agent


class ViewEncoder(Protocol):
    """Encoder of the views, such as `clipnav.encoders.clip.ClipEncoder`."""

    embed_dim: int
    image_size: tuple[int, int]

    def pooled(self, images: np.ndarray) -> np.ndarray:
        """Return the features (N, D) of pictures (N, H, W, 3) uint8."""
        ...


class Places(NamedTuple):
    """Places in different directions around an agent.

    Attributes:
        headings: (K,) headings in radians, clockwise from +y.
        distances: (K,) metres.
    """

    headings: np.ndarray
    distances: np.ndarray


def places_around(floor: ContinuousFloor, position: np.ndarray) -> Places:
    """Return up to five places around a position (3,), the farthest first.

    A place is at most 2.25 m away, in a direction in which the straight walk is longest, and 45
    degrees or more from the others.
    """
    headings = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    free = floor.straight_walks(position, headings)
    # A door is wider than an agent: the middle of its directions is preferred.
    middle = np.minimum(np.minimum(np.roll(free, 1), np.roll(free, -1)), free)
    score = np.minimum(free, 2 * _FARTHEST) + 0.5 * np.minimum(middle, 2 * _FARTHEST)
    chosen: list[int] = []
    for k in np.argsort(-score, kind="stable"):
        apart = [abs(wrap_angle(headings[k] - headings[c])) for c in chosen]
        is_apart = all(angle >= _APART - 1e-9 for angle in apart)
        if is_apart and free[k] - _BEFORE_OBSTACLES >= _NEAREST and len(chosen) < MOST_PLACES:
            chosen.append(int(k))
    distances = np.minimum(free[chosen] - _BEFORE_OBSTACLES, _FARTHEST)
    return Places(headings[chosen], distances)


class Propose(Protocol):
    """Chooses the places around agents."""

    def __call__(
        self, scans: Sequence[str], positions: np.ndarray, headings: np.ndarray
    ) -> list[Places]:
        """Return up to five places around each of M agents.

        Args:
            positions: (M, 3) points under their feet.
            headings: (M,) radians clockwise from +y.
        """
        ...


class FloorPlaces:
    """Proposes places that are computed from the floor, see `places_around`."""

    def __init__(self, simulator: ContinuousSimulator) -> None:
        self._simulator = simulator

    def __call__(
        self, scans: Sequence[str], positions: np.ndarray, headings: np.ndarray
    ) -> list[Places]:
        """Return the places around each of M agents."""
        floors: list[Any] = [self._simulator.floor(scan) for scan in scans]
        return [places_around(*one) for one in zip(floors, positions, strict=True)]


def place_positions(floor: ContinuousFloor, position: np.ndarray, places: Places) -> np.ndarray:
    """Return the points (K, 3) of the floor where places around a position (3,) are.

    On stairs they are higher or lower than the position.
    """
    level = np.zeros(len(places.headings))
    ways = np.stack([np.sin(places.headings), np.cos(places.headings), level], axis=1)
    return floor.project(position + places.distances[:, None] * ways)


def camera_settings(settings: ContinuousSettings, size: tuple[int, int]) -> ContinuousSettings:
    """Return settings whose camera draws the views of the graphs: 60 degrees at 1.5 m."""
    return replace(settings, rgb_size=size, hfov=60.0, camera_height=1.5)


class WaypointEnv:
    """N agents in continuous episodes that choose places, in the interface of `walk`.

    Action 0 stops, action k leads to place k: the agent turns and steps there. Observations are
    indices; `gather` returns the features.

    Attributes:
        targets: (ids, K) id of each place's earlier visit, -1 if it is new.
    """

    def __init__(
        self,
        split: ContinuousSplit,
        simulator: ContinuousSimulator,
        settings: ContinuousSettings,
        encoder: ViewEncoder | None,
        num_envs: int,
        angle_feature_size: int,
        propose: Propose,
    ) -> None:
        settings = replace(settings, observe=(), teacher="none")
        self.autoreset_mode = disabled = AutoresetMode.DISABLED
        self._envs = [
            ContinuousVectorEnv(split, simulator, 1, settings, disabled) for _ in range(num_envs)
        ]
        self.num_envs, self.episodes = num_envs, split.episodes
        self.max_episode_steps = MOST_DECISIONS
        self._simulator, self._settings, self._encoder = simulator, settings, encoder
        self._angle, self._propose = angle_feature_size, propose
        self._panorama_angles = torch.from_numpy(panorama_angles(angle_feature_size))
        self._own_angles = torch.from_numpy(view_angles(angle_feature_size))
        self._places: list[Places] = [Places(np.empty(0), np.empty(0))] * num_envs
        self._visited: list[list[np.ndarray]] = [[] for _ in range(num_envs)]
        self._ids, self._views = np.zeros((2, num_envs), int)
        self._features = np.zeros((num_envs, NUM_VIEWS, encoder.embed_dim if encoder else 0))
        self._ended = np.zeros(num_envs, bool)
        self.targets = np.full((num_envs * _IDS, MOST_PLACES + 1), -1)

    def reset(self, *, options: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start the episodes of `options["episode_ids"]`, one for each agent."""
        words = [
            env.reset(options={"episode_ids": [name]})[0]["instruction"][0]
            for env, name in zip(self._envs, options["episode_ids"], strict=True)
        ]
        self._words = np.stack(words)
        self._visited = [[] for _ in self._envs]
        self._ended[:] = False
        self._decisions = 0
        return self._observe(np.arange(self.num_envs))

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Lead agents to the places of their actions (N,) and look around there.

        Agents whose episode has ended stay. The last decision is followed by a stop.
        """
        self._decisions += 1
        active = np.flatnonzero(~self._ended)
        for agent in active:
            self._walk(int(agent), int(actions[agent]))
        if self._decisions == self.max_episode_steps:
            for agent in np.flatnonzero(~self._ended):
                self._take(int(agent), STOP)
        moved = np.flatnonzero(~self._ended)
        observation, info = self._observe(moved)
        return observation, np.zeros(self.num_envs), self._ended.copy(), self._ended & False, info

    def metrics(self) -> list[dict[str, float]]:
        """Return the measures of each agent's walk so far."""
        return [env.metrics()[0] for env in self._envs]

    def gather(self, viewpoints: np.ndarray, views: np.ndarray, num_candidates: int) -> DeviceView:
        """Return the features of agents in the form of `DeviceFeatures.gather`.

        Args:
            viewpoints: (N,) ids of the places where the agents are.
            views: (N,) views that they face.
        """
        agents = np.asarray(viewpoints) // _IDS
        places = [self._places[agent] for agent in agents]
        return self._device_view(self._features[agents], places, np.asarray(views), num_candidates)

    def _device_view(
        self, features: np.ndarray, places: Sequence[Places], views: np.ndarray, num_candidates: int
    ) -> DeviceView:
        """Return what N agents see, given the features (N, 36, D) and the places around them."""
        base = views % NUM_HEADINGS
        seen = torch.from_numpy(features).float()
        panorama = torch.cat([seen, self._panorama_angles[base]], dim=-1)
        candidates = torch.zeros(len(features), num_candidates, panorama.shape[-1])
        mask = torch.zeros(len(features), num_candidates, dtype=torch.bool)
        distances = torch.zeros(len(features), num_candidates)
        mask[:, 0] = True
        for row, (headings, lengths) in enumerate(places):
            part = slice(1, len(headings) + 1)
            facing = start_views(headings)
            angles = angle_feature(
                headings - STEP * base[row], np.zeros(len(headings)), self._angle
            )
            visual = features[row][facing]
            candidates[row, part] = torch.from_numpy(np.hstack([visual, angles])).float()
            mask[row, part] = True
            distances[row, part] = torch.from_numpy(lengths).float()
        return DeviceView(panorama, candidates, mask, self._own_angles[views], distances)

    def _walk(self, agent: int, action: int) -> None:
        """Carry out the turns and steps of an action until the episode ends."""
        if action == STOP:
            self._take(agent, STOP)
            return
        headings, distances = self._places[agent]
        heading = self._envs[agent].traces()[0].headings[-1]
        relative = float(headings[action - 1] - heading)
        for low_level in waypoint_actions(distances[action - 1], relative, self._settings):
            if self._take(agent, low_level):
                return

    def _take(self, agent: int, action: int) -> bool:
        """Take one low-level action and return whether the episode has ended."""
        _, _, terminated, truncated, _ = self._envs[agent].step(np.array([action]))
        self._ended[agent] = bool(terminated[0] or truncated[0])
        return bool(self._ended[agent])

    def _observe(self, agents: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Look around with some agents and return the observations of all."""
        scans = [env.current_episodes()[0].scan for env in self._envs]
        poses = [env.traces()[0] for env in self._envs]
        headings = np.array([pose.headings[-1] for pose in poses])
        self._views = start_views(headings)
        if len(agents):
            positions = np.array([poses[agent].positions[-1] for agent in agents])
            names = [scans[agent] for agent in agents]
            proposed = self._propose(names, positions, headings[agents])
            for agent, position, places in zip(agents, positions, proposed, strict=True):
                self._places[agent] = places
                self._ids[agent] = self._remember(int(agent), position)
            if self._encoder is not None:
                count = len(names)
                drawn = self._simulator.draw(
                    [scan for scan in names for _ in range(NUM_VIEWS)],
                    positions.repeat(NUM_VIEWS, axis=0),
                    np.tile(VIEW_HEADINGS, count),
                    np.tile(VIEW_ELEVATIONS, count),
                    ("rgb",),
                )
                self._features[agents] = self._encoder.pooled(drawn["rgb"]).reshape(
                    count, NUM_VIEWS, -1
                )
        mask = np.zeros((self.num_envs, MOST_PLACES + 1), bool)
        mask[:, 0] = True
        for agent, places in enumerate(self._places):
            mask[agent, 1 : len(places.headings) + 1] = True
        observation = {
            "instruction": self._words,
            "viewpoint": self._ids.copy(),
            "view": self._views.copy(),
            "action_mask": mask,
        }
        return observation, {"scan": np.array(scans)}

    def _remember(self, agent: int, position: np.ndarray) -> int:
        """Return the id of the place at a position, and look up which candidates are known."""
        visited = self._visited[agent]
        number = _nearest(visited, position)
        if number < 0:
            number = len(visited)
            visited.append(position.copy())
        row = agent * _IDS + number
        self.targets[row] = -1
        self.targets[row, 0] = row
        floor: Any = self._simulator.floor(self._envs[agent].current_episodes()[0].scan)
        for k, place in enumerate(place_positions(floor, position, self._places[agent]), 1):
            known = _nearest(visited, place)
            if known >= 0 and known != number:
                self.targets[row, k] = agent * _IDS + known
        return row


def _nearest(visited: Sequence[np.ndarray], position: np.ndarray) -> int:
    """Return the number of the nearest place within 1 m, -1 if there is none."""
    if not visited:
        return -1
    away = np.linalg.norm(np.array(visited) - position, axis=1)
    return int(away.argmin()) if away.min() < _SAME_PLACE else -1

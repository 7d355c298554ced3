"""Recording of the views along the teacher's paths, the input of a speaker."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from clipnav.agents.acting.rollout import STOP, Observation, walk
from clipnav.agents.envdrop.follower_agent import scan_indices
from clipnav.agents.envdrop.speaker import PathViews
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.vector_env import VlnVectorEnv


class DescribedPaths(NamedTuple):
    """Paths of B episodes with their instructions.

    Attributes:
        tokens: (B, L) int32 token ids of the instructions.
        scans: (B,) index of the building of each episode within the batch.
    """

    views: PathViews
    tokens: np.ndarray
    scans: np.ndarray


class PathRecorder:
    """Agent that takes the teacher's actions and records positions and actions."""

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Record the instructions."""
        self.tokens = observation["instruction"][live]
        self.scans = scan_indices(info["scan"][live])
        self.steps: list[tuple[np.ndarray, ...]] = []

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Record the step and return the actions of the teacher."""
        actions = np.asarray(info["teacher_action"])[live]
        step = np.full(len(live), len(self.steps))
        nodes, views = observation["viewpoint"][live], observation["view"][live]
        self.steps.append((live, step, nodes, views, actions))
        return actions


def record_paths(
    env: VlnVectorEnv, features: DeviceFeatures, instr_ids: Sequence[str]
) -> DescribedPaths:
    """Walk along the teacher's paths and return the views, with the instructions."""
    recorder = PathRecorder()
    walk(env, recorder, instr_ids)
    rows, steps, nodes, views, actions = map(np.concatenate, zip(*recorder.steps, strict=True))
    path_views = gather_views(features, rows, steps, nodes, views, actions)
    return DescribedPaths(path_views, recorder.tokens, recorder.scans)


def gather_views(
    features: DeviceFeatures,
    rows: np.ndarray,
    steps: np.ndarray,
    nodes: np.ndarray,
    views: np.ndarray,
    actions: np.ndarray,
) -> PathViews:
    """Gather the views at M steps of paths.

    Args:
        rows: (M,) index of the path of each step.
        steps: (M,) index of each step in its path.
        nodes: (M,) viewpoints.
        views: (M,) views 0..35 that the agent faces.
        actions: (M,) actions; 0 is stop.
    """
    gathered = features.gather(nodes, views)
    device = gathered.panorama.device
    taken = torch.from_numpy(np.asarray(actions, np.int64)).to(device)
    every = torch.arange(len(rows), device=device)
    return PathViews(
        rows=torch.from_numpy(np.asarray(rows, np.int64)).to(device),
        steps=torch.from_numpy(np.asarray(steps, np.int64)).to(device),
        panorama=gathered.panorama,
        taken=gathered.candidates[every, taken],
        stops=taken == STOP,
    )

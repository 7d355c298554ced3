"""What a speaker sees along paths, and what it says about them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from agents.acting.follower_agent import scan_numbers
from agents.acting.rollout import STOP, Observation, walk
from agents.envdrop.speaker import PathViews
from envs.navigation.device_features import DeviceFeatures
from envs.navigation.vector_env import VlnVectorEnv


class Described(NamedTuple):
    """Paths of B episodes and what people say about them.

    Attributes:
        seen: along the paths.
        tokens: (B, L) int32 instructions.
        scans: (B,) number of each one's building within the batch.
    """

    seen: PathViews
    tokens: np.ndarray
    scans: np.ndarray


class PathRecorder:
    """Walks as the teacher does and notes where it was and where it went."""

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Note the instructions."""
        self.tokens = observation["instruction"][live]
        self.scans = scan_numbers(info["scan"][live])
        self.steps: list[tuple[np.ndarray, ...]] = []

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Do as the teacher does."""
        actions = np.asarray(info["teacher_action"])[live]
        step = np.full(len(live), len(self.steps))
        nodes, views = observation["viewpoint"][live], observation["view"][live]
        self.steps.append((live, step, nodes, views, actions))
        return actions


def described_paths(
    env: VlnVectorEnv, features: DeviceFeatures, instr_ids: Sequence[str]
) -> Described:
    """Walk along the teacher's paths and look around.

    Args:
        env: Environment without autoreset.
        features: Of the environment.
        instr_ids: Episodes, whose paths are walked.
    """
    recorder = PathRecorder()
    walk(env, recorder, instr_ids)
    rows, steps, nodes, views, actions = map(np.concatenate, zip(*recorder.steps, strict=True))
    seen = look_along(features, rows, steps, nodes, views, actions)
    return Described(seen, recorder.tokens, recorder.scans)


def look_along(
    features: DeviceFeatures,
    rows: np.ndarray,
    steps: np.ndarray,
    nodes: np.ndarray,
    views: np.ndarray,
    actions: np.ndarray,
) -> PathViews:
    """What is seen at M steps of paths.

    Args:
        features: Of the world.
        rows: (M,) path of each step.
        steps: (M,) its place in the path.
        nodes: (M,) viewpoint.
        views: (M,) view 0..35 that is looked along.
        actions: (M,) action that is taken; 0 stops.
    """
    seen = features.gather(nodes, views)
    device = seen.panorama.device
    taken = torch.from_numpy(np.asarray(actions, np.int64)).to(device)
    every = torch.arange(len(rows), device=device)
    return PathViews(
        rows=torch.from_numpy(np.asarray(rows, np.int64)).to(device),
        steps=torch.from_numpy(np.asarray(steps, np.int64)).to(device),
        panorama=seen.panorama,
        taken=seen.candidates[every, taken],
        stops=taken == STOP,
    )

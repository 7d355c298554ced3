"""Scores of a follower's actions at any viewpoints, without walking there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.envdrop.follower import Follower, FollowerDecision
from clipnav.agents.layers.encoders import Context, State
from clipnav.agents.layers.visual import PanoramaView, VisualNoise
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.device_features import DeviceFeatures

_NO_NODE = -1  # padding before the start of a walk; no candidate leads there


def pad_histories(histories: Sequence[Sequence[int]]) -> np.ndarray:
    """Return the nodes (N, T) of walks of unequal length, padded at the front."""
    longest = max(len(history) for history in histories)
    return np.array([[_NO_NODE] * (longest - len(history)) + [*history] for history in histories])


def count_visits(histories: np.ndarray, targets: np.ndarray) -> Tensor:
    """Count the visits of each candidate.

    Args:
        histories: (N, T) nodes of each walk up to the current node, padded at the front.
        targets: (N, K) nodes of the candidates.

    Returns:
        (N, K) float32 number of visits of each candidate's node. For stop, candidate 0: number of
        earlier visits of the current node.
    """
    counts = (histories[:, :, None] == targets[:, None]).sum(1)
    counts[:, 0] = (histories[:, :-1] == histories[:, -1:]).sum(1)
    return torch.from_numpy(counts.astype(np.float32))


def add_visits(view: PanoramaView, histories: np.ndarray, targets: np.ndarray) -> PanoramaView:
    """Return a view with visit counts.

    Args:
        targets: (V, candidates) nodes of the candidates of all nodes of the world.
    """
    counts = count_visits(histories, targets[histories[:, -1], : view.mask.shape[1]])
    return view._replace(visits=counts.to(view.mask.device))


@dataclass(frozen=True, eq=False)
class ActionScorer:
    """A follower that scores the actions of agents at any nodes."""

    follower: Follower
    features: DeviceFeatures
    world: NavWorld

    def decide(
        self,
        nodes: np.ndarray,
        views: np.ndarray,
        paths: Sequence[Sequence[int]],
        context: Context,
        state: State,
        noise: VisualNoise | None = None,
    ) -> FollowerDecision:
        """Return the decisions of R agents.

        Args:
            nodes: (R,) nodes.
            views: (R,) views 0..35 that the agents face there.
        """
        width = 1 + int(np.flatnonzero(self.world.mask[nodes].any(0))[-1])
        view = PanoramaView(*self.features.gather(nodes, views, width))
        if self.follower.visit_features:
            view = add_visits(view, pad_histories(paths), self.world.targets)
        return self.follower.decide(view, context, state, noise)

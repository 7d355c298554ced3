"""Scores of a follower's actions at any viewpoints, without walking there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipnav.agents.envdrop.follower import Decision, Follower
from clipnav.agents.envdrop.visits import add_visits, pad_histories
from clipnav.agents.layers.encoders import Context, State
from clipnav.agents.layers.visual import PanoramaView, VisualNoise
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.device_features import DeviceFeatures


@dataclass(frozen=True, eq=False)
class ActionScorer:
    """A follower that scores the actions of agents at any nodes.

    Attributes:
        follower: Follower.
        features: Features of the world.
        world: World of the nodes.
    """

    follower: Follower
    features: DeviceFeatures
    world: NavWorld

    def decide(
        self,
        nodes: np.ndarray,
        views: np.ndarray,
        ways: Sequence[Sequence[int]],
        context: Context,
        state: State,
        noise: VisualNoise | None = None,
    ) -> Decision:
        """Return the decisions of R agents.

        Args:
            nodes: (R,) nodes.
            views: (R,) views 0..35 that the agents face there.
        """
        width = 1 + int(np.flatnonzero(self.world.mask[nodes].any(0))[-1])
        view = PanoramaView(*self.features.gather(nodes, views, width))
        if self.follower.visit_features:
            view = add_visits(view, pad_histories(ways), self.world.targets)
        return self.follower.decide(view, context, state, noise)

"""A small graph, and a stub of a follower that knows the probability of each action in it."""

import math

import numpy as np
import torch

from clipnav.agents.envdrop.follower import FollowerDecision
from clipnav.agents.layers.encoders import Context, State
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.device_features import DeviceView
from tests.conftest import connectivity_records

#       b - d            A greedy walk goes to a, then c or stops; the whole path s b d stop is
#      /                 the likeliest one.
#     s - a - c
POSITIONS = {"s": (0, 0), "a": (2, 0), "b": (0, 2), "c": (4, 0), "d": (2, 2.5)}
EDGES = ("sa", "sb", "ac", "bd")
# Probability of stopping, and of going to each neighbour.
CHOICES = {
    "s": {"stop": 0.0, "a": 0.6, "b": 0.4},
    "a": {"stop": 0.3, "s": 0.3, "c": 0.4},
    "b": {"stop": 0.1, "s": 0.1, "d": 0.8},
    "c": {"stop": 0.5, "a": 0.5},
    "d": {"stop": 0.9, "b": 0.1},
}


def make_world():
    return NavWorld([NavGraph("scan", connectivity_records(POSITIONS, EDGES))])


class Nodes:
    """Features that contain the node only."""

    def gather(self, nodes, views, width):
        numbers = torch.as_tensor(nodes, dtype=torch.float32)
        empty = torch.zeros(len(nodes), width)
        return DeviceView(numbers[:, None, None], empty, empty > -1, empty, empty)


class Chooser(torch.nn.Module):
    """Stub of a follower with the probabilities above."""

    visit_features = False
    objects = None

    def __init__(self, world):
        super().__init__()
        self.parameter = torch.nn.Parameter(torch.zeros(1))
        self.world = world

    def noise(self, scans):
        return None

    def encoder(self, tokens):
        count = len(tokens)
        words = torch.zeros(count, 1, 1)
        return Context(words, words[..., 0] == 0), State(
            torch.zeros(count, 1), torch.zeros(count, 1), torch.zeros(count, 2, 1)
        )

    def decide(self, view, context, state, noise=None):
        nodes = view.panorama[:, 0, 0].long().tolist()
        scores = torch.full((len(nodes), view.mask.shape[1]), -torch.inf, dtype=torch.float64)
        for row, node in enumerate(nodes):
            choices = CHOICES[self.world.viewpoint_ids[node]]
            scores[row, 0] = math.log(choices["stop"]) if choices["stop"] else -torch.inf
            for action in np.flatnonzero(self.world.mask[node])[1:]:
                target = self.world.viewpoint_ids[self.world.targets[node, action]]
                scores[row, action] = math.log(choices[target])
        # The state counts the decisions of a path.
        words, views = torch.ones(len(nodes), 1), torch.ones(len(nodes), 36)
        state = state._replace(attended=state.attended + 1)
        return FollowerDecision(scores, state, None, words, views)

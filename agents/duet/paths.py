"""Known paths: all their decisions as one batch, for teacher forcing and pre-training.

A path that is known beforehand determines every map, so that all panoramas are encoded in one call
and all decisions are scored in one forward pass. Losses and gradients equal those of a walk.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.duet.memory import PanoramaMemory, WorldFeatures, encode_panoramas
from clipnav.agents.duet.model import MapTransformer, NodeInputs, ViewInputs
from clipnav.agents.duet.states import MapState, map_state, stack_states
from clipnav.agents.maps.experts import path_targets
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.maps.known_maps import KnownMaps
from clipnav.envs.graphs.nav_world import route_moves
from clipnav.storage.errors import UserError


class KnownPaths(NamedTuple):
    """The P states of B known paths, step after step: state p has panorama p.

    Attributes:
        state: Input of the network; `state.rows` are the paths.
        targets: (P,) map tokens of the next viewpoints; 0, [stop], at the end of a path.
        local_targets: (P,) the same as an index into [stop] and the candidates.
        steps: (P,) step of each state, from 0.
    """

    state: MapState
    targets: np.ndarray
    local_targets: np.ndarray
    steps: np.ndarray

    def encode(
        self,
        model: MapTransformer,
        features: WorldFeatures,
        dropout: Tensor | None = None,
        hidden: np.ndarray | None = None,
    ) -> tuple[NodeInputs, ViewInputs]:
        """Encode the panoramas and return the inputs of both branches.

        Args:
            dropout: (B, D) multipliers of the features of each path, see
                `FeatureInput.episode_dropout`.
            hidden: (P, V) bool, views whose features are zero.
        """
        longest = int(self.steps.max()) + 1
        if longest >= model.config.max_steps:
            raise UserError(
                f"a path has {longest} steps, but --network.max-steps is "
                f"{model.config.max_steps}; give a larger table of steps"
            )
        memory = PanoramaMemory()
        if dropout is not None:
            dropout = dropout[torch.from_numpy(self.state.rows).to(dropout.device)]
        nodes, views = self.state.viewpoints, self.state.views
        index = encode_panoramas(model, features, memory, nodes, views, dropout, hidden)
        return memory.inputs(self.state, index)


def select_states(
    inputs: tuple[NodeInputs, ViewInputs], index: Tensor
) -> tuple[NodeInputs, ViewInputs]:
    """Return the inputs of both branches for the states at an index (R,), which may repeat."""
    nodes, views = inputs
    return (
        NodeInputs(*(part.index_select(0, index) for part in nodes)),
        ViewInputs(*(part.index_select(0, index) for part in views)),
    )


def without_padding(
    inputs: tuple[NodeInputs, ViewInputs], tokens: int, candidates: int
) -> tuple[NodeInputs, ViewInputs]:
    """Return the inputs of both branches with the first map tokens and candidates only."""
    nodes, views = inputs
    cut = NodeInputs(*(part[:, :tokens] for part in nodes))
    return (
        cut._replace(distances=cut.distances[:, :, :tokens]),
        views._replace(
            candidates=views.candidates[:, :candidates],
            fusion=views.fusion[:, :tokens, : candidates + 1],
        ),
    )


def known_paths(
    geometry: MapGeometry, nodes: np.ndarray, views: np.ndarray, revisits: bool = False
) -> KnownPaths:
    """Describe all states of B paths.

    Args:
        nodes: (B, T) nodes of the paths, padded with -1; consecutive nodes are neighbours.
        views: (B, T) views that the agents face, see `path_views`.
    """
    maps = KnownMaps(geometry, len(nodes))
    panoramas = np.full((len(nodes), int(geometry.world.locals.max()) + 2), -1)
    following = np.column_stack([nodes[:, 1:], np.full(len(nodes), -1)])
    states, targets, local_targets, count = [], [], [], 0
    for step in range(nodes.shape[1]):
        rows = np.flatnonzero(nodes[:, step] >= 0)
        maps.visit(rows, nodes[rows, step])
        panoramas[rows, maps.current[rows]] = count + np.arange(len(rows))
        state = map_state(maps, panoramas, rows, views[rows, step], revisits)
        states.append(state)
        targets.append(path_targets(maps, rows, state.tokens, following[rows, step]))
        local_targets.append(_local_targets(geometry, nodes[rows, step], following[rows, step]))
        count += len(rows)
    return KnownPaths(
        stack_states(states),
        np.concatenate(targets),
        np.concatenate(local_targets),
        np.repeat(np.arange(len(states)), [len(state.rows) for state in states]),
    )


def _local_targets(geometry: MapGeometry, nodes: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Return the (R,) actions from nodes (R,) to the following nodes (R,); 0 for -1."""
    moves = route_moves(geometry.world, nodes, following[:, None])[:, 0]
    return np.where(following < 0, 0, moves)

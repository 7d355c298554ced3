"""PanoramaMemory: encoded panoramas, and the features of map nodes computed from them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clipnav.agents.duet.model import MapTransformer, NodeInputs, PanoramaInputs, ViewInputs
from clipnav.agents.duet.states import MapState, NodeSources, view_directions
from clipnav.agents.maps.geometry import MapGeometry


class WorldFeatures:
    """Visual features of the viewpoints of a world on the device of a network.

    Args:
        features: (V, 36, D) features of the views, see
            `clipnav.envs.navigation.device_features.world_features`; None for a network without
            them.
    """

    def __init__(
        self,
        geometry: MapGeometry,
        features: Tensor | None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.geometry = geometry
        self.width = 0 if features is None else features.shape[2]
        self._features = None if features is None else features.to(device)
        self._device = torch.device(device)

    def gather(self, nodes: np.ndarray, views: np.ndarray) -> PanoramaInputs:
        """Return the panorama tokens of P viewpoints.

        Args:
            nodes: (P,) viewpoints.
            views: (P,) views 0..35 that the agents face.
        """
        directions, types = view_directions(self.geometry, nodes, views)
        width = types.shape[1]
        mask = np.arange(width) < self.geometry.token_counts[nodes][:, None]
        real = self._send(mask)
        if self._features is None:
            features = torch.zeros(*mask.shape, 0, device=self._device)
        else:
            chosen = self._send(self.geometry.token_views[nodes, :width])
            panoramas = self._features.index_select(0, self._send(nodes)).float()
            index = chosen[..., None].expand(-1, -1, self.width)
            features = panoramas.gather(1, index) * real[..., None]
        return PanoramaInputs(features, self._send(directions), self._send(types), real)

    def _send(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


class PanoramaMemory:
    """Encoded panoramas of a batch of episodes, in the order in which they were added."""

    def __init__(self) -> None:
        self._means: list[Tensor] = []
        self._tokens: list[Tensor] = []
        self._masks: list[Tensor] = []
        self._flat: tuple[Tensor, Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return sum(map(len, self._means))

    @property
    def tokens(self) -> Tensor:
        """(P, V, d) tokens of all panoramas."""
        return self._joined()[0]

    def add(self, tokens: Tensor, means: Tensor, mask: Tensor) -> np.ndarray:
        """Add panoramas and return their indices.

        Args:
            tokens: (P, V, d) panorama tokens.
            means: (P, d) their means.
            mask: (P, V) bool, False on padding.

        Returns:
            (P,) int64 indices.
        """
        start = len(self)
        self._means.append(means)
        self._tokens.append(tokens)
        self._masks.append(mask)
        self._flat = None
        return np.arange(start, start + len(means))

    def node_features(self, sources: NodeSources, rows: int, width: int) -> Tensor:
        """Return the features (R, N, d) of map tokens; zero for [stop] and padding."""
        tokens, means, _ = self._joined()
        send = self.send
        visited = means.index_select(0, send(sources.visited_panoramas))
        seen = tokens.flatten(0, 1).index_select(
            0, send(sources.seen_panoramas * tokens.shape[1] + sources.seen_ranks)
        )
        seen = seen * send(sources.seen_weights)[:, None].to(seen.dtype)
        index = np.concatenate([sources.visited, sources.seen], 1)
        features = means.new_zeros(rows * width, means.shape[1])
        parts = torch.cat([visited, seen.to(visited.dtype)])
        features = features.index_add(0, send(index[0] * width + index[1]), parts)
        return features.view(rows, width, -1)

    def inputs(self, state: MapState, panoramas: np.ndarray) -> tuple[NodeInputs, ViewInputs]:
        """Return the inputs of both branches.

        Args:
            panoramas: (R,) panoramas of the current viewpoints.
        """
        tokens, _, masks = self._joined()
        send = self.send
        rows, width = state.tokens.slots.shape
        nodes = NodeInputs(
            self.node_features(state.sources, rows, width),
            send(state.tokens.steps),
            send(state.tokens.positions),
            send(state.tokens.distances),
            send(state.tokens.mask),
            send(state.forbidden),
        )
        index = send(panoramas)
        current = tokens.index_select(0, index)
        positions = np.zeros((rows, 1 + current.shape[1], 14), np.float32)
        positions[:, :, :7] = state.start_positions[:, None]
        positions[:, 1 : 1 + state.candidates.shape[1], 7:] = state.candidate_positions
        views = ViewInputs(
            current,
            send(positions),
            masks.index_select(0, index),
            send(state.candidates >= 0),
            send(state.fusion),
        )
        return nodes, views

    def send(self, array: np.ndarray) -> Tensor:
        """Return an array as a tensor on the device of the panoramas."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._means[0].device)

    def _joined(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return tokens (P, V, d), means (P, d) and masks (P, V) of all panoramas."""
        if self._flat is None:
            width = max(tokens.shape[1] for tokens in self._tokens)
            self._flat = (
                torch.cat([_padded(tokens, width) for tokens in self._tokens]),
                torch.cat(self._means),
                torch.cat([functional.pad(m, (0, width - m.shape[1])) for m in self._masks]),
            )
        return self._flat


def encode_panoramas(
    model: MapTransformer,
    features: WorldFeatures,
    memory: PanoramaMemory,
    nodes: Sequence[int] | np.ndarray,
    views: np.ndarray,
    dropout: Tensor | None = None,
    hidden: np.ndarray | None = None,
) -> np.ndarray:
    """Encode the panoramas of P viewpoints into a memory and return their indices (P,).

    Args:
        nodes: (P,) viewpoints.
        views: (P,) views 0..35 that the agents face.
        dropout: (P, D) multipliers of the features, see `FeatureInput.episode_dropout`.
        hidden: (P, V) bool, views whose features are zero.
    """
    inputs = features.gather(np.asarray(nodes), views)._replace(dropout=dropout)
    if hidden is not None:
        inputs = inputs._replace(hidden=torch.from_numpy(hidden).to(inputs.mask.device))
    tokens, means = model.panorama(inputs)
    return memory.add(tokens, means, inputs.mask)


def _padded(tokens: Tensor, width: int) -> Tensor:
    return functional.pad(tokens, (0, 0, 0, width - tokens.shape[1]))

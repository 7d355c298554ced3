"""PanoramaMemory: encoded panoramas, and the features of map nodes computed from them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clipnav.agents.duet.model import MapTransformer, NodeInputs, PanoramaInputs, ViewInputs
from clipnav.agents.duet.objects import OBJECT, NodeObjects, panorama_layout
from clipnav.agents.duet.states import MapState, NodeSources, object_directions, view_directions
from clipnav.agents.maps.geometry import MapGeometry


class WorldFeatures:
    """Visual features of the viewpoints of a world on the device of a network.

    Args:
        features: (V, 36, D) features of the views, see
            `clipnav.envs.navigation.device_features.world_features`; None for a network without
            them.
        objects: Objects of the viewpoints; None for a network without them.
    """

    def __init__(
        self,
        geometry: MapGeometry,
        features: Tensor | None,
        device: torch.device | str = "cpu",
        objects: NodeObjects | None = None,
    ) -> None:
        self.geometry = geometry
        self.objects = objects
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
        chosen = self.geometry.token_views[nodes, :width]
        mask = np.arange(width) < self.geometry.token_counts[nodes][:, None]
        rows, objects = None, self.objects
        if objects is not None:
            sources, rows, mask = panorama_layout(self.geometry, objects, nodes)
            directions = np.take_along_axis(directions, sources[..., None], 1)
            types, chosen = (np.take_along_axis(x, sources, 1) for x in (types, chosen))
            place = rows >= 0
            directions[place] = object_directions(objects, rows[place], views[place.nonzero()[0]])
            types[place] = OBJECT
            directions[~mask], types[~mask] = 0.0, 0
        real = self._send(mask)
        if self._features is None:
            features = torch.zeros(*mask.shape, 0, device=self._device)
        else:
            panoramas = self._features.index_select(0, self._send(nodes)).float()
            index = self._send(chosen)[..., None].expand(-1, -1, self.width)
            features = panoramas.gather(1, index) * real[..., None]
        inputs = PanoramaInputs(features, self._send(directions), self._send(types), real)
        if objects is None or rows is None or not self.width:
            return inputs
        place = self._send(rows >= 0)
        seen = features.new_zeros(*mask.shape, objects.width)
        seen[place] = objects.features.index_select(0, self._send(rows[rows >= 0])).float()
        if objects.width != self.width:
            return inputs._replace(objects=seen)
        return inputs._replace(features=torch.where(place[..., None], seen, features))

    def _send(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


class PanoramaMemory:
    """Encoded panoramas of a batch of episodes, in the order in which they were added."""

    def __init__(self) -> None:
        self._means: list[Tensor] = []
        self._tokens: list[Tensor] = []
        self._masks: list[Tensor] = []
        self._objects: list[np.ndarray] = []
        self._flat: tuple[Tensor, Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return sum(map(len, self._means))

    @property
    def tokens(self) -> Tensor:
        """(P, V, d) tokens of all panoramas."""
        return self._joined()[0]

    def add(
        self, tokens: Tensor, means: Tensor, mask: Tensor, objects: np.ndarray | None = None
    ) -> np.ndarray:
        """Add panoramas and return their indices.

        Args:
            tokens: (P, V, d) panorama tokens.
            means: (P, d) their means.
            mask: (P, V) bool, False on padding.
            objects: (P,) number of objects, which follow the candidates; None for a network without
                objects.

        Returns:
            (P,) int64 indices.
        """
        start = len(self)
        self._means.append(means)
        self._tokens.append(tokens)
        self._masks.append(mask)
        if objects is not None:
            self._objects.append(objects)
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
            self.object_tokens(state.candidates, panoramas),
        )
        return nodes, views

    def object_tokens(self, candidates: np.ndarray, panoramas: np.ndarray) -> Tensor | None:
        """Return (R, F) bool, true for objects, given the candidates (R, C) and panoramas (R,)."""
        if not self._objects:
            return None
        first = (candidates >= 0).sum(1)
        last = first + np.concatenate(self._objects)[panoramas]
        tokens = np.arange(max(candidates.shape[1], int(last.max())))
        return self.send((tokens >= first[:, None]) & (tokens < last[:, None]))

    def send(self, array: np.ndarray) -> Tensor:
        """Return an array as a tensor on the device of the panoramas."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._means[0].device)

    def _joined(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return tokens (P, V, d), means (P, d) and masks (P, V) of all panoramas."""
        if self._flat is None:
            width = max(tokens.shape[1] for tokens in self._tokens)
            self._flat = (
                torch.cat(
                    [
                        functional.pad(tokens, (0, 0, 0, width - tokens.shape[1]))
                        for tokens in self._tokens
                    ]
                ),
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
    objects = None if features.objects is None else features.objects.counts[np.asarray(nodes)]
    return memory.add(tokens, means, inputs.mask, objects)

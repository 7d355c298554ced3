"""EtpNavNetwork: scores of the places of a ghost map (ETPNav 8dec13a `vilmodel_cmt.py`).

It consists of layers of DUET, without a local branch, and with depth features.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from clipnav.agents.duet.model import (
    EncodedText,
    GlobalBranch,
    NodeInputs,
    PanoramaEncoder,
    PanoramaInputs,
)
from clipnav.agents.etpnav.ghost_map import GhostTokens
from clipnav.agents.etpnav.settings import EtpNavNetworkConfig
from clipnav.agents.transformer.layers import EPS, CrossModalLayer, ScoreHead, padding_bias
from clipnav.agents.transformer.text import (
    PretrainedTextEncoder,
    TextStates,
    TransformerNetwork,
    make_text_encoder,
    text_architecture,
)

DIRECTION_SIZE = 4  # sine and cosine of the heading, and of the elevation, which is 0
OTHER_VIEW, CANDIDATE_VIEW = 0, 1


class DepthPanoramaEncoder(PanoramaEncoder):
    """Transformer over the views of a place, whose features are those of colour and of depth.

    Its inputs are those of `PanoramaEncoder`, with directions (P, V, 4) and features (P, V, D + C),
    where C is the width of the depth features.
    """

    def __init__(self, config: EtpNavNetworkConfig, feature_size: int, depth_size: int) -> None:
        super().__init__(config, feature_size)
        width = config.hidden_size
        self.depth_size = depth_size
        self.directions = nn.Linear(DIRECTION_SIZE, width)
        self.types = nn.Embedding(2, width)
        if depth_size:
            self.depth = nn.Linear(depth_size, width)
            self.depth_norm = nn.LayerNorm(width, EPS)

    def embed(self, inputs: PanoramaInputs) -> Tensor:
        """Return the sum (P, V, d) of the embeddings of features, directions and types."""
        colour, depth = inputs.features.split([self.feature_size, self.depth_size], 2)
        x = super().embed(inputs._replace(features=colour))
        return x + self.depth_norm(self.depth(depth)) if self.depth_size else x


class EtpNavNetwork(TransformerNetwork):
    """Text encoder, panorama encoder, global branch, and the head that scores map tokens."""

    def __init__(
        self,
        config: EtpNavNetworkConfig,
        vocabulary_size: int,
        feature_size: int,
        depth_size: int,
        text: PretrainedTextEncoder | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.text = make_text_encoder(config, vocabulary_size) if text is None else text
        self.panorama = DepthPanoramaEncoder(config, feature_size, depth_size)
        self.global_branch = GlobalBranch(config)
        self.head = ScoreHead(width, width, dropout=config.dropout)
        self._initialise_parts(None)

    @property
    def architecture(self) -> dict[str, str]:
        """Sizes and options that must match for weights to be loaded, by name."""
        return {
            **text_architecture(self.config, self.text),
            "visual features": str(self.panorama.feature_size),
            "depth features": str(self.panorama.depth_size),
            "width": f"{self.config.hidden_size} in {self.config.heads} heads",
            "feed-forward width": str(self.config.feed_forward_size),
            "panorama layers": str(self.config.panorama_layers),
            "cross-modal layers": str(self.config.cross_layers),
            "elevation": self.config.elevation,
        }

    def read(self, tokens: Tensor) -> EncodedText:
        """Encode instructions (E, L), padded with 0 at the end, once per episode."""
        return self.keys_and_values(self.text(tokens))

    def keys_and_values(self, text: TextStates) -> EncodedText:
        """Compute the keys and values of encoded instructions for the cross-modal layers."""
        layers = [
            layer for layer in self.global_branch.layers if isinstance(layer, CrossModalLayer)
        ]
        states, mask = text
        keys = [layer.cross.keys_values(states) for layer in layers]
        return EncodedText(text, padding_bias(mask), keys, [])

    def score(self, text: EncodedText, nodes: NodeInputs) -> Tensor:
        """Return the scores (R, N) of map tokens, minus infinity where they cannot be chosen.

        Args:
            nodes: Map tokens; their distances are metres / 30.
        """
        scores = self.head(self.global_branch(nodes, text))[..., 0]
        return scores.masked_fill(nodes.forbidden | ~nodes.mask, -torch.inf)


def node_inputs(maps: Sequence[GhostTokens], panoramas: Sequence[Tensor]) -> NodeInputs:
    """Return the map tokens of R agents.

    Args:
        panoramas: (T, d) encoded panorama tokens of the episode of each agent, without padding.
    """
    device = panoramas[0].device
    width = max(len(tokens.steps) for tokens in maps)

    def padded(name: str, value: float | bool = 0) -> Tensor:
        arrays = [getattr(tokens, name) for tokens in maps]
        return pad_sequence([torch.from_numpy(array) for array in arrays], True, value).to(device)

    distances = torch.zeros(len(maps), width, width)
    for row, tokens in enumerate(maps):
        size = len(tokens.steps)
        distances[row, :size, :size] = torch.from_numpy(tokens.distances)
    features = [
        torch.from_numpy(tokens.weights).to(device, own.dtype) @ own
        for tokens, own in zip(maps, panoramas, strict=True)
    ]
    sizes = torch.tensor([len(tokens.steps) for tokens in maps])
    return NodeInputs(
        pad_sequence(features, True),
        padded("steps"),
        padded("positions"),
        distances.to(device),
        (torch.arange(width) < sizes[:, None]).to(device),
        padded("visited", True),
    )

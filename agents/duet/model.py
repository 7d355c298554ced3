"""MapTransformer: scores of map nodes from two branches (DUET `models/vilmodel.py`)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from clipnav.agents.duet.objects import OBJECT
from clipnav.agents.duet.settings import MapTransformerConfig
from clipnav.agents.layers.attention import Dropout
from clipnav.agents.layers.visual import ViewEncoder
from clipnav.agents.transformer.layers import (
    EPS,
    CrossModalLayer,
    FeatureInput,
    KeysValues,
    ScoreHead,
    padding_bias,
)
from clipnav.agents.transformer.settings import TransformerConfig
from clipnav.agents.transformer.text import (
    PretrainedTextEncoder,
    TextStates,
    TransformerNetwork,
    make_text_encoder,
    text_architecture,
)

DIRECTION_SIZE = 7  # sine and cosine of heading and elevation, and three ones (DUET: box size)
_NODE_POSITION, _VIEW_POSITION = 7, 14


class PanoramaInputs(NamedTuple):
    """Views of P viewpoints in the order of `MapGeometry`, with the objects after the candidates.

    Attributes:
        features: (P, V, D) visual features; those of objects only if they have the width of views.
        directions: (P, V, 7) sine and cosine of heading and elevation relative to the agent's view,
            then three ones; height, width and area of the box for an object.
        types: (P, V) int64: 1 for candidates, 0 for other views, 2 for objects.
        mask: (P, V) bool, False on padding.
        dropout: (P, D) multipliers of the features, see `FeatureInput.episode_dropout`; None
            without.
        hidden: (P, V) bool, views whose features are zero, as targets of pre-training; None for no
            such view.
        objects: (P, V, D') features of objects of a width of their own, zero for views; None
            otherwise.
    """

    features: Tensor
    directions: Tensor
    types: Tensor
    mask: Tensor
    dropout: Tensor | None = None
    hidden: Tensor | None = None
    objects: Tensor | None = None


class PanoramaEncoder(FeatureInput):
    """Transformer over the views and objects of a viewpoint.

    Args:
        object_size: Width of the features of objects, which have a projection of their own if it is
            not that of views; None without objects.
    """

    def __init__(
        self,
        config: TransformerConfig,
        feature_size: int,
        views: ViewEncoder | None = None,
        object_size: int | None = None,
    ) -> None:
        super().__init__(config, feature_size, views)
        width = config.hidden_size
        if feature_size:
            self.features = nn.Linear(feature_size, width)
            self.features_norm = nn.LayerNorm(width, EPS)
        if object_size not in (None, feature_size):
            self.objects = nn.Linear(object_size, width)
            self.objects_norm = nn.LayerNorm(width, EPS)
        self.directions = nn.Linear(DIRECTION_SIZE, width)
        self.directions_norm = nn.LayerNorm(width, EPS)
        self.types = nn.Embedding(3, width)
        # BERT's embedding of token type 1.
        self.type_embedding = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width, EPS)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.hidden_size,
                config.heads,
                config.feed_forward_size,
                config.dropout,
                functional.gelu,
                batch_first=True,
                norm_first=True,
            )
            for _ in range(config.panorama_layers)
        )
        self.final_norm = nn.LayerNorm(width, EPS)

    def embed(self, inputs: PanoramaInputs) -> Tensor:
        """Return the sum (P, V, d) of the embeddings of features, directions and types."""
        x = self.directions_norm(self.directions(inputs.directions))
        if inputs.features.shape[2]:
            features = self.prepared(inputs.features, inputs.dropout)
            if inputs.hidden is not None:
                features = features.masked_fill(inputs.hidden[..., None], 0.0)
            seen = self.features_norm(self.features(features))
            if inputs.objects is not None:
                objects = self.feature_dropout(inputs.objects)
                if inputs.hidden is not None:
                    objects = objects.masked_fill(inputs.hidden[..., None], 0.0)
                own = self.objects_norm(self.objects(objects))
                seen = torch.where((inputs.types == OBJECT)[..., None], own, seen)
            x = x + seen
        return x + self.types(inputs.types) + self.type_embedding

    def forward(self, inputs: PanoramaInputs) -> tuple[Tensor, Tensor]:
        """Encode panoramas.

        Returns:
            tokens: (P, V, d); arbitrary on padding.
            means: (P, d) mean over the tokens of each panorama.
        """
        x = self.dropout(self.norm(self.embed(inputs)))
        padding = ~inputs.mask
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=padding)
        x = self.final_norm(x)
        weights = inputs.mask / inputs.mask.sum(1, keepdim=True)
        return x, (weights[:, None] @ x)[:, 0]


class EncodedText(NamedTuple):
    """Instructions with the keys and values that the cross-modal layers need at every step.

    Attributes:
        bias: (E, 1, 1, L) attention bias of the padding.
        global_layers: Keys and values for each layer of the global branch.
        local_layers: Keys and values for each layer of the local branch.
    """

    states: TextStates
    bias: Tensor
    global_layers: list[KeysValues]
    local_layers: list[KeysValues]

    def rows(self, index: Tensor) -> "EncodedText":
        """Return the rows of an index (R,), such as the episodes that have not ended."""
        return EncodedText(
            TextStates(self.states.states[index], self.states.mask[index]),
            self.bias[index],
            [layer.rows(index) for layer in self.global_layers],
            [layer.rows(index) for layer in self.local_layers],
        )


class NodeInputs(NamedTuple):
    """Map tokens of R states, [stop] first.

    Attributes:
        features: (R, N, d) features of the nodes; zero for [stop].
        steps: (R, N) int64 steps of the last visits, see `MapTokens`.
        positions: (R, N, 7) position features.
        distances: (R, N, N) map distances in metres.
        mask: (R, N) bool, False on padding.
        forbidden: (R, N) bool, true for nodes that cannot be chosen.
    """

    features: Tensor
    steps: Tensor
    positions: Tensor
    distances: Tensor
    mask: Tensor
    forbidden: Tensor


class ViewInputs(NamedTuple):
    """Panorama tokens of the current viewpoints of R states, without [stop].

    Attributes:
        tokens: (R, V, d) panorama tokens: candidates, objects, other views.
        positions: (R, V + 1, 14) position features of the start and of each candidate.
        mask: (R, V) bool, False on padding.
        candidates: (R, C) bool, true for the candidates among the first C tokens.
        fusion: (R, N, C + 1) 0/1 matrix from local to fused scores, see `fusion_matrix`.
        objects: (R, F) bool, true for the objects among the first F >= C tokens; None for a network
            without objects.
    """

    tokens: Tensor
    positions: Tensor
    mask: Tensor
    candidates: Tensor
    fusion: Tensor
    objects: Tensor | None = None

    @property
    def leading(self) -> Tensor:
        """(R, F) bool, true for the candidates and objects among the first F tokens."""
        if self.objects is None:
            return self.candidates
        more = self.objects.shape[1] - self.candidates.shape[1]
        return functional.pad(self.candidates, (0, more)) | self.objects


class Scores(NamedTuple):
    """Scores of R states, minus infinity where an action is impossible.

    Attributes:
        decision: (R, N) logits of the policy over the map tokens.
        global_scores: (R, N) scores of the global branch, scaled by the gate.
        local_scores: (R, C + 1) scores of the local branch for [stop] and the candidates, scaled.
        gate: (R,) weight of the global branch.
        hidden: (R, 2 d) encoded [stop] tokens of the global and of the local branch.
        objects: (R, F) logits of the objects among the first F panorama tokens; None for a network
            without objects.
    """

    decision: Tensor
    global_scores: Tensor
    local_scores: Tensor
    gate: Tensor
    hidden: Tensor
    objects: Tensor | None = None


class GlobalBranch(nn.Module):
    """Coarse branch: map nodes that attend to the text and, aware of distances, to each other."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.position = nn.Linear(_NODE_POSITION, width)
        self.position_norm = nn.LayerNorm(width, EPS)
        self.steps = nn.Embedding(config.max_steps, width)
        # Weight and bias of the distance in the attention scores. The softmax cancels the bias,
        # which only exists to load and save the published weights.
        self.distance = nn.Linear(1, 1)
        self.layers = nn.ModuleList(CrossModalLayer(config) for _ in range(config.cross_layers))

    def embed(self, nodes: NodeInputs) -> Tensor:
        """Return the input tokens (R, N, d)."""
        return (
            nodes.features
            + self.steps(nodes.steps)
            + self.position_norm(self.position(nodes.positions))
        )

    def forward(self, nodes: NodeInputs, text: EncodedText) -> Tensor:
        """Encode map tokens; returns (R, N, d)."""
        x = self.embed(nodes)
        bias = padding_bias(nodes.mask) + self.distance(nodes.distances[..., None])[..., 0][:, None]
        for layer, context in zip(self.layers, text.global_layers, strict=True):
            x = layer(x, context, text.bias, bias)
        return x


class LocalBranch(nn.Module):
    """Fine branch: [stop] and the panorama tokens that attend to the text and to each other."""

    def __init__(self, config: MapTransformerConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.position = nn.Linear(_VIEW_POSITION, width)
        self.position_norm = nn.LayerNorm(width, EPS)
        self.layers = nn.ModuleList(CrossModalLayer(config) for _ in range(config.cross_layers))

    def embed(self, views: ViewInputs) -> Tensor:
        """Return the input tokens (R, V + 1, d), [stop] first."""
        tokens = functional.pad(views.tokens, (0, 0, 1, 0))
        return tokens + self.position_norm(self.position(views.positions))

    def forward(self, views: ViewInputs, text: EncodedText, first: int | None = None) -> Tensor:
        """Encode panorama tokens.

        Args:
            first: Number of leading tokens, [stop] included, to return; None for all. The last
                layer computes only these.
        """
        x = self.embed(views)
        bias = padding_bias(functional.pad(views.mask, (1, 0), value=True))
        last = len(self.layers) - 1
        for number, (layer, context) in enumerate(zip(self.layers, text.local_layers, strict=True)):
            x = layer(x, context, text.bias, bias, first if number == last else None)
        return x


class MapTransformer(TransformerNetwork):
    """Text encoder, panorama encoder, both branches, and the heads that score actions.

    With objects (DUET for REVERIE and SOON), a further head on the local branch grounds the
    instruction in one of them.

    Args:
        object_size: Width of the features of objects; None without objects.
    """

    def __init__(
        self,
        config: MapTransformerConfig,
        vocabulary_size: int,
        feature_size: int,
        text: PretrainedTextEncoder | None = None,
        views: ViewEncoder | None = None,
        object_size: int | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.object_size = object_size
        width = config.hidden_size
        self.text = make_text_encoder(config, vocabulary_size) if text is None else text
        self.panorama = PanoramaEncoder(config, feature_size, views, object_size)
        self.global_branch = GlobalBranch(config)
        self.local_branch = LocalBranch(config)
        self.global_head = ScoreHead(width, width)
        self.local_head = ScoreHead(width, width)
        self.gate = ScoreHead(2 * width, width)
        if object_size is not None:
            self.object_head = ScoreHead(width, width)
        self._initialise_parts(views)

    @property
    def architecture(self) -> dict[str, str]:
        """Sizes and options that must match for weights to be loaded, by name."""
        views = self.panorama.views
        return {
            **text_architecture(self.config, self.text),
            **({} if views is None else views.architecture),
            "visual features": str(self.panorama.feature_size),
            **({} if self.object_size is None else {"object features": str(self.object_size)}),
            "width": f"{self.config.hidden_size} in {self.config.heads} heads",
            "feed-forward width": str(self.config.feed_forward_size),
            "panorama layers": str(self.config.panorama_layers),
            "cross-modal layers": str(self.config.cross_layers),
            "standardised features": "yes" if self.panorama.standardises else "no",
            "fusion": self.config.fusion,
            "local candidates only": "yes" if self.config.local_candidates_only else "no",
        }

    def read(self, tokens: Tensor) -> EncodedText:
        """Encode instructions (E, L), padded with 0 at the end, once per episode."""
        return self.keys_and_values(self.text(tokens))

    def keys_and_values(self, text: TextStates) -> EncodedText:
        """Compute the keys and values of encoded instructions for both branches."""
        states, mask = text
        return EncodedText(
            text,
            padding_bias(mask),
            [layer.cross.keys_values(states) for layer in self._layers(self.global_branch)],
            [layer.cross.keys_values(states) for layer in self._layers(self.local_branch)],
        )

    def score(self, text: EncodedText, nodes: NodeInputs, views: ViewInputs) -> Scores:
        """Score the actions of R states."""
        leading = views.leading
        first = 1 + leading.shape[1]
        if self.config.local_candidates_only:
            views = views._replace(
                tokens=views.tokens[:, : first - 1],
                positions=views.positions[:, :first],
                mask=leading,
            )
        coarse = self.global_branch(nodes, text)
        fine = self.local_branch(views, text, first)
        return self.fuse(coarse, fine, nodes, views)

    def fuse(self, coarse: Tensor, fine: Tensor, nodes: NodeInputs, views: ViewInputs) -> Scores:
        """Score the encoded tokens of both branches.

        Args:
            coarse: (R, N, d) tokens of the global branch.
            fine: (R, F + 1, d) tokens of the local branch: [stop], the candidates and the objects.
        """
        actions = fine[:, : 1 + views.candidates.shape[1]]
        hidden = torch.cat([coarse[:, 0], fine[:, 0]], 1)
        if self.config.fusion == "dynamic":
            gate = torch.sigmoid(self.gate(hidden))  # (R, 1)
        else:
            gate = hidden.new_full((len(hidden), 1), 0.5)
        global_scores = gate * self.global_head(coarse)[..., 0]
        local_scores = (1 - gate) * self.local_head(actions)[..., 0]
        spread = torch.bmm(views.fusion.to(local_scores.dtype), local_scores[..., None])[..., 0]
        impossible = nodes.forbidden | ~nodes.mask
        no_candidate = ~functional.pad(views.candidates, (1, 0), value=True)
        total = {"global": global_scores, "local": spread}.get(
            self.config.fusion, global_scores + spread
        )
        decision = total.masked_fill(impossible, -torch.inf)
        return Scores(
            decision,
            global_scores.masked_fill(impossible, -torch.inf),
            local_scores.masked_fill(no_candidate, -torch.inf),
            gate[:, 0],
            hidden,
            None if views.objects is None else self.object_scores(fine, views.objects),
        )

    def object_scores(self, fine: Tensor, objects: Tensor) -> Tensor:
        """Return the logits (R, F) of objects (R, F), given tokens (R, F + 1, d) of `fuse`."""
        logits = self.object_head(fine[:, 1:])[..., 0]
        return logits.masked_fill(~objects, -torch.inf)

    @staticmethod
    def _layers(branch: GlobalBranch | LocalBranch) -> list[CrossModalLayer]:
        return [layer for layer in branch.layers if isinstance(layer, CrossModalLayer)]

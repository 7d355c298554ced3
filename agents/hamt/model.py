"""HistoryTransformer: scores of candidates from the text, past steps and views (HAMT).

HAMT `finetune_src/models/vilmodel_cmt.py: NavCMT`. Letters in shapes: E episodes, R states,
L words, V views, D visual and A angle width of a view, d width of the tokens.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from clipnav.agents.hamt.settings import HistoryTransformerConfig
from clipnav.agents.layers.attention import Dropout
from clipnav.agents.layers.visual import ViewEncoder
from clipnav.agents.transformer.layers import (
    EPS,
    FeatureInput,
    KeysValues,
    ScoreHead,
    SelfAttentionLayer,
    TwoWayLayer,
    padding_bias,
)
from clipnav.agents.transformer.text import (
    PretrainedTextEncoder,
    TextStates,
    TransformerNetwork,
    make_text_encoder,
    text_architecture,
)

OTHER_VIEW, CANDIDATE_VIEW, STOP_VIEW = 0, 1, 2
_STANDARD_DEVIATION = 0.02  # of initial values


class StepInputs(NamedTuple):
    """P steps of the past.

    Attributes:
        view: (P, D) visual features of the view that the agent faced.
        action: (P, A) angle feature of the action that it took; zero for stop.
        panorama: (P, 36, D) visual features of all views.
        angles: (P, 36, A) angle features of all views.
        numbers: (P,) int64 numbers of the steps, from 0.
        dropout: (P, D) multipliers of the visual features, see `FeatureInput`; None without.
    """

    view: Tensor
    action: Tensor
    panorama: Tensor
    angles: Tensor
    numbers: Tensor
    dropout: Tensor | None = None


class ViewInputs(NamedTuple):
    """What R agents see: stop, the candidates, and the views that show none of them.

    Attributes:
        features: (R, V, D) visual features.
        angles: (R, V, A) angle features; zero for stop.
        types: (R, V) int64: 2 for stop, 1 for candidates, 0 for other views.
        mask: (R, V) bool, False on padding.
        actions: Number of leading tokens that contain stop and all candidates.
        dropout: (R, D) multipliers of the visual features, see `FeatureInput`; None without.
    """

    features: Tensor
    angles: Tensor
    types: Tensor
    mask: Tensor
    actions: int
    dropout: Tensor | None = None


class ViewEmbedding(nn.Module):
    """Sum of the projected visual and angle features of views, each normalised."""

    def __init__(self, width: int, feature_size: int, angle_size: int) -> None:
        super().__init__()
        if feature_size:
            self.features = nn.Linear(feature_size, width)
            self.features_norm = nn.LayerNorm(width, EPS)
        self.angles = nn.Linear(angle_size, width)
        self.angles_norm = nn.LayerNorm(width, EPS)

    def forward(self, features: Tensor, angles: Tensor) -> Tensor:
        """Embed views (..., D) with angles (..., A); returns (..., d)."""
        x = self.angles_norm(self.angles(angles))
        if not features.shape[-1]:
            return x
        return x + self.features_norm(self.features(features))


class HistoryEncoder(nn.Module):
    """One token per past step: view, action, number of the step, and the encoded panorama."""

    def __init__(
        self, config: HistoryTransformerConfig, feature_size: int, angle_size: int
    ) -> None:
        super().__init__()
        width = config.hidden_size
        self.start = nn.Parameter(torch.zeros(width))
        self.view = ViewEmbedding(width, feature_size, angle_size)
        self.panorama = ViewEmbedding(width, feature_size, angle_size)
        self.layers = nn.ModuleList(
            SelfAttentionLayer(config) for _ in range(config.panorama_layers)
        )
        self.numbers = nn.Embedding(config.max_steps, width)
        self.type_embedding = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width, EPS)
        self.dropout = Dropout(config.dropout)

    def start_tokens(self, episodes: int) -> Tensor:
        """Return the tokens (E, d) before the first step."""
        return self.dropout(self.norm(self.start + self.type_embedding).expand(episodes, -1))

    def forward(self, steps: StepInputs) -> Tensor:
        """Return the tokens (P, d) of steps with prepared features."""
        panorama = self.dropout(self.panorama(steps.panorama, steps.angles))  # (P, 36, d)
        no_bias = panorama.new_zeros(1, 1, 1, 1)
        for layer in self.layers:
            panorama = layer(panorama, no_bias)
        x = self.view(steps.view, steps.action) + self.numbers(steps.numbers)
        return self.dropout(self.norm(x + self.type_embedding + panorama.mean(1)))


class ObservationEncoder(nn.Module):
    """Tokens of stop, candidates and other views."""

    def __init__(
        self, config: HistoryTransformerConfig, feature_size: int, angle_size: int
    ) -> None:
        super().__init__()
        width = config.hidden_size
        self.view = ViewEmbedding(width, feature_size, angle_size)
        self.types = nn.Embedding(3, width)
        # BERT's embedding of token type 1.
        self.type_embedding = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width, EPS)
        self.dropout = Dropout(config.dropout)

    def forward(self, views: ViewInputs) -> Tensor:
        """Return the tokens (R, V, d) of views with prepared features."""
        x = self.view(views.features, views.angles) + self.types(views.types)
        return self.dropout(self.norm(x + self.type_embedding))


class EncodedText(NamedTuple):
    """Instructions of E episodes.

    Attributes:
        bias: (E, 1, 1, L) attention bias of the padding.
        layers: Keys and values for each cross-modal layer; empty with language attention, where
            the text changes at every step.
    """

    states: TextStates
    bias: Tensor
    layers: list[KeysValues]

    def rows(self, index: Tensor) -> "EncodedText":
        """Return the rows of an index (R,), which may repeat."""
        return EncodedText(
            TextStates(self.states.states[index], self.states.mask[index]),
            self.bias[index],
            [layer.rows(index) for layer in self.layers],
        )


class History(NamedTuple):
    """Tokens of the past of R states.

    Attributes:
        tokens: (R, 1 + T, d), the start token first.
        mask: (R, 1 + T) bool, False on padding.
    """

    tokens: Tensor
    mask: Tensor


class Scores(NamedTuple):
    """Scores of R states.

    Attributes:
        actions: (R, K) logits of the actions, minus infinity where an action is impossible.
        hidden: (R, d) input of the critic.
    """

    actions: Tensor
    hidden: Tensor


class HistoryTransformer(TransformerNetwork):
    """Text encoder, history and observation encoders, cross-modal layers, and the score head."""

    def __init__(
        self,
        config: HistoryTransformerConfig,
        vocabulary_size: int,
        feature_size: int,
        angle_size: int,
        text: PretrainedTextEncoder | None = None,
        views: ViewEncoder | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.text = make_text_encoder(config, vocabulary_size) if text is None else text
        self.features = FeatureInput(config, feature_size, views)
        self.history = HistoryEncoder(config, feature_size, angle_size)
        self.observation = ObservationEncoder(config, feature_size, angle_size)
        self.layers = nn.ModuleList(TwoWayLayer(config) for _ in range(config.cross_layers))
        self.head = ScoreHead(width, width, dropout=config.dropout)
        self._initialise_parts(views)
        # What is normalised at the input. The start token and stop, whose features are zero, would
        # otherwise be normalised at zero, with an unbounded gradient; released weights are not.
        nn.init.normal_(self.history.type_embedding, std=_STANDARD_DEVIATION)
        for view in (self.history.view, self.history.panorama, self.observation.view):
            for part in view.children():
                if isinstance(part, nn.Linear):
                    part.reset_parameters()
                    nn.init.normal_(part.bias, std=_STANDARD_DEVIATION)
        if not config.language_attention:
            # Its output is unused (HAMT computes it as well), but DistributedDataParallel waits
            # for every gradient.
            self._layers[-1].language.requires_grad_(False)

    @property
    def architecture(self) -> dict[str, str]:
        """Sizes and options that must match for weights to be loaded, by name."""
        config, views = self.config, self.features.views
        return {
            **({} if views is None else views.architecture),
            "agent": "HAMT",
            **text_architecture(config, self.text),
            "visual features": str(self.features.feature_size),
            "angle features": str(self.observation.view.angles.in_features),
            "width": f"{config.hidden_size} in {config.heads} heads",
            "feed-forward width": str(config.feed_forward_size),
            "panorama layers": str(config.panorama_layers),
            "cross-modal layers": str(config.cross_layers),
            "standardised features": "yes" if self.features.standardises else "no",
            "language attention": "yes" if config.language_attention else "no",
        }

    def read(self, tokens: Tensor) -> EncodedText:
        """Encode instructions (E, L), padded with 0 at the end, once per episode."""
        return self.keys_and_values(self.text(tokens))

    def keys_and_values(self, text: TextStates) -> EncodedText:
        """Compute the keys and values of encoded instructions, if they stay the same."""
        bias = padding_bias(text.mask)
        if self.config.language_attention:
            return EncodedText(text, bias, [])
        layers = self._layers
        # Each layer reads the text through the language block of the layer before it alone: the
        # blocks are not stacked.
        states = [text.states, *(layer.language(text.states, bias) for layer in layers[:-1])]
        parts = [layer.cross.keys_values(x) for layer, x in zip(layers, states, strict=True)]
        return EncodedText(text, bias, parts)

    def step_tokens(self, steps: StepInputs) -> Tensor:
        """Return the history tokens (P, d) of steps."""
        prepared = self.features.prepared
        return self.history(
            steps._replace(
                view=prepared(steps.view, steps.dropout),
                panorama=prepared(steps.panorama, steps.dropout),
            )
        )

    def score(self, text: EncodedText, history: History, views: ViewInputs) -> Scores:
        """Score the actions of R states."""
        words, tokens = self.encode(text, history, views, views.actions)
        observed = tokens[:, 1:]
        hidden = tokens[:, 0]
        if self.config.language_attention:
            observed, hidden = observed * words[:, :1], hidden * words[:, 0]
        possible = (views.mask & (views.types != OTHER_VIEW))[:, : views.actions]
        actions = self.head(observed)[..., 0].masked_fill(~possible, -torch.inf)
        return Scores(actions.float(), hidden.float())

    def encode(
        self, text: EncodedText, history: History, views: ViewInputs, actions: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode text and tokens.

        Args:
            actions: Number of leading views to return, for which the last layer then computes only
                these, the start token and the first word; None for everything.

        Returns:
            words: (R, L, d); of the episode with unchanged text.
            tokens: (R, N, d): the start token, the views, and the past steps.
        """
        features = self.features.prepared(views.features, views.dropout)
        features = features.masked_fill((views.types == STOP_VIEW)[..., None], 0.0)
        observed = self.observation(views._replace(features=features))
        # The order has no effect, so that all tokens that are read come first.
        x = torch.cat([history.tokens[:, :1], observed, history.tokens[:, 1:]], 1)
        bias = padding_bias(torch.cat([history.mask[:, :1], views.mask, history.mask[:, 1:]], 1))
        words = text.states.states
        for number, layer in enumerate(self._layers):
            first: tuple[int | None, int | None] = None, None
            if actions is not None and number == len(self.layers) - 1:
                first = 1 + actions, 1
            if text.layers:
                x = layer(x, text.layers[number], text.bias, bias, first[0])
            else:
                x, words = layer.both(x, words, bias, text.bias, first)
        return words, x

    @property
    def _layers(self) -> list[TwoWayLayer]:
        return [layer for layer in self.layers if isinstance(layer, TwoWayLayer)]

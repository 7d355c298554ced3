"""HistoryTransformer: scores of candidates from the text, past steps and views (HAMT).

HAMT `finetune_src/models/vilmodel_cmt.py: NavCMT`. Letters in shapes: E episodes, R states,
L words, V views, D visual and A angle width of a view, d width of the tokens.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from clipnav.agents.hamt.encoders import (
    OTHER_VIEW,
    STOP_VIEW,
    HistoryEncoder,
    ObservationEncoder,
    StepInputs,
    ViewInputs,
)
from clipnav.agents.hamt.settings import HistoryTransformerConfig
from clipnav.agents.layers.visual import ViewEncoder
from clipnav.agents.transformer.features import FeatureInput
from clipnav.agents.transformer.layers import KeysValues, ScoreHead, TwoWayLayer, padding_bias
from clipnav.agents.transformer.network import TransformerNetwork
from clipnav.agents.transformer.text import (
    PretrainedTextEncoder,
    TextStates,
    make_text_encoder,
    text_architecture,
)

_STANDARD_DEVIATION = 0.02  # of initial values


class EncodedText(NamedTuple):
    """Instructions of E episodes.

    Attributes:
        states: Encoded text.
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
        self._initialise_inputs()
        if not config.language_attention:
            # Its output is unused (HAMT computes it as well), but DistributedDataParallel waits
            # for every gradient.
            self._layers[-1].language.requires_grad_(False)

    def _initialise_inputs(self) -> None:
        """Initialise what is normalised at the input, so that its gradient is bounded.

        The start token and stop, whose features are zero, would otherwise be normalised at zero.
        Released weights do not have the problem.
        """
        nn.init.normal_(self.history.type_embedding, std=_STANDARD_DEVIATION)
        for view in (self.history.view, self.history.panorama, self.observation.view):
            for part in view.children():
                if isinstance(part, nn.Linear):
                    part.reset_parameters()
                    nn.init.normal_(part.bias, std=_STANDARD_DEVIATION)

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

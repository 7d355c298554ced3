"""Text encoders: a BERT or an LSTM from the settings, or a model of transformers."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from clipnav.agents.layers.attention import Dropout
from clipnav.agents.layers.encoders import PAD
from clipnav.agents.layers.pretrained import FrozenStates, TextModel, hugging_face_model
from clipnav.agents.layers.recurrent import BidirectionalLSTM
from clipnav.agents.transformer.layers import EPS, SelfAttentionLayer, initialise, padding_bias
from clipnav.agents.transformer.settings import TransformerConfig
from clipnav.storage.errors import UserError


class TextStates(NamedTuple):
    """Encoded instructions.

    Attributes:
        states: (E, L, d) hidden states.
        mask: (E, L) bool, False on padding.
    """

    states: Tensor
    mask: Tensor


class TextEncoder(nn.Module):
    """BERT with the sizes of the settings."""

    def __init__(self, config: TransformerConfig, vocabulary_size: int) -> None:
        super().__init__()
        width = config.hidden_size
        self.words = nn.Embedding(vocabulary_size, width)
        self.positions = nn.Embedding(config.max_text_length, width)
        # BERT's embedding of token type 0.
        self.type_embedding = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width, EPS)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(SelfAttentionLayer(config) for _ in range(config.text_layers))

    def word_table(self) -> Tensor:
        """Return the embedding of each token id (vocabulary, d)."""
        return self.words.weight

    def forward(self, tokens: Tensor) -> TextStates:
        """Encode instructions (E, L), padded with 0 at the end."""
        if tokens.shape[1] > self.positions.num_embeddings:
            raise UserError(
                f"{tokens.shape[1]} tokens, but --network.max-text-length is "
                f"{self.positions.num_embeddings}; shorten the instructions or raise it"
            )
        mask = tokens != PAD
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.words(tokens) + self.positions(positions) + self.type_embedding
        x = self.dropout(self.norm(x))
        bias = padding_bias(mask)
        for layer in self.layers:
            x = layer(x, bias)
        return TextStates(x, mask)


class RecurrentTextEncoder(nn.Module):
    """The bidirectional LSTM of the follower, with a projection to the width of the network."""

    def __init__(self, config: TransformerConfig, vocabulary_size: int) -> None:
        super().__init__()
        width = config.hidden_size
        self.words = nn.Embedding(vocabulary_size, width, padding_idx=PAD)
        self.read = BidirectionalLSTM(width, 2 * width)
        self.projection = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width, EPS)
        self.dropout = Dropout(config.dropout)

    def word_table(self) -> Tensor:
        """Return the embedding of each token id (vocabulary, d)."""
        return self.words.weight

    def forward(self, tokens: Tensor) -> TextStates:
        """Encode instructions (E, L), padded with 0 at the end."""
        mask = tokens != PAD
        # The LSTM requires that the embedding of padding is zero.
        words = self.dropout(self.words(tokens)) * mask[..., None]
        states, _ = self.read(words, mask)
        return TextStates(self.dropout(self.norm(self.projection(states))), mask)


class PretrainedTextEncoder(nn.Module):
    """Model of transformers, frozen or fine-tuned, with a projection if widths differ."""

    def __init__(self, config: TransformerConfig, text: TextModel, tune: bool = True) -> None:
        super().__init__()
        self.text = text
        # A frozen model is not a submodule, so it stays in evaluation mode and is not saved.
        self.model = text.network if tune else None
        self.frozen = None
        if not tune:
            text.network.eval().requires_grad_(False)
            self.frozen = FrozenStates(text)
        same = text.width == config.hidden_size
        self.projection = nn.Identity() if same else nn.Linear(text.width, config.hidden_size)

    def word_table(self) -> Tensor:
        """Return the embedding of each token id (vocabulary, width of the model)."""
        # The tokenizer may shift the ids of the model, so that padding is 0.
        words = self.text.network.get_input_embeddings().weight
        return functional.pad(words, (0, 0, self.text.shift, 0))

    def forward(self, tokens: Tensor) -> TextStates:
        """Encode ids (E, L) of the tokenizer of the model, padded with 0 at the end."""
        source = self.text if self.frozen is None else self.frozen
        return TextStates(self.projection(source.states(tokens.long())), tokens != PAD)


def _keep_layers(model: Any, name: str, count: int) -> None:
    """Remove all but the first layers of a model that is built like BERT."""
    layers = getattr(getattr(model, "encoder", None), "layer", None)
    if not isinstance(layers, nn.ModuleList) or len(layers) < count:
        size = f"{len(layers)} layers" if isinstance(layers, nn.ModuleList) else "no layers of BERT"
        raise UserError(
            f"{name}: the model has {size}, so {count} cannot be kept; lower or omit "
            "--network.text-model-layers"
        )
    model.encoder.layer = layers[:count]
    model.config.num_hidden_layers = count


def make_text_encoder(
    config: TransformerConfig, vocabulary_size: int
) -> TextEncoder | RecurrentTextEncoder | PretrainedTextEncoder:
    """Build the text encoder of the settings."""
    if config.text_model is not None:
        return pretrained_text_encoder(config)
    if config.text_encoder == "lstm":
        return RecurrentTextEncoder(config, vocabulary_size)
    return TextEncoder(config, vocabulary_size)


def pretrained_text_encoder(config: TransformerConfig, tune: bool = True) -> PretrainedTextEncoder:
    """Build the text encoder with the Hugging Face model of the settings."""
    assert config.text_model is not None
    text = hugging_face_model(config.text_model)
    if config.text_model_layers is not None:
        _keep_layers(text.network, config.text_model, config.text_model_layers)
    return PretrainedTextEncoder(config, text, tune)


def text_architecture(
    config: TransformerConfig, encoder: TextEncoder | RecurrentTextEncoder | PretrainedTextEncoder
) -> dict[str, str]:
    """Return the identity of a text encoder that must match for weights to be loaded, by name."""
    layers = config.text_model_layers if config.text_model else config.text_layers
    text = f"{config.text_model or 'BERT'}, {layers or 'all'} layers"
    if config.text_encoder == "lstm" and config.text_model is None:
        text = "LSTM"
    identity: dict[str, str] = {}
    if isinstance(encoder, PretrainedTextEncoder) and config.text_model is None:
        text, identity = "representation", encoder.text.identity
    return {**identity, "text": f"{text}, {len(encoder.word_table())} tokens"}


class TransformerNetwork(nn.Module):
    """Interface of networks with a text encoder, whose weights can be loaded by name."""

    text: TextEncoder | RecurrentTextEncoder | PretrainedTextEncoder

    @property
    def architecture(self) -> dict[str, str]:
        """Sizes and options that must match for weights to be loaded, by name."""
        raise NotImplementedError

    def _initialise_parts(self, views: nn.Module | None) -> None:
        """Draw the initial weights of all parts but a pretrained text encoder and `views`."""
        for part in self.children():
            if not isinstance(part, PretrainedTextEncoder):
                initialise(part, views)

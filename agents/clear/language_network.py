"""Language representation of CLEAR: a transformer that embeds instructions.

Source: jialuli-luka/CLEAR, `r2r_src/mbert.py`. Letters in shapes: B instructions, L tokens, W
width of an embedding.
"""

from typing import Any

import torch
from torch import Tensor, nn

from clipnav.agents.clear.settings import LanguageConfig, LanguageEncoderConfig, Pooling
from clipnav.agents.layers.encoders import PAD, without_padding
from clipnav.agents.layers.pretrained import TextModel, hugging_face_model
from clipnav.envs.tokenizers import Tokenizer
from clipnav.storage.errors import UserError

LANGUAGE = "language representation"  # in the metadata of the weights of an agent


class LanguageRepresentation(nn.Module):
    """Transformer over the tokens of an instruction.

    Args:
        pooling: See `LanguageEncoderConfig`; the released code takes the first token, [CLS].
    """

    def __init__(
        self, text: TextModel, architecture: dict[str, str], pooling: Pooling = "first"
    ) -> None:
        super().__init__()
        self._pooling = pooling
        self.model: nn.Module = text.network
        self.architecture = architecture
        self._text = text

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the embeddings (B, W) of tokens (B, L), padded with 0 at the end."""
        tokens = without_padding(tokens).long()
        states = self._text.states(tokens)  # (B, L, W)
        if self._pooling == "first":
            return states[:, 0]
        real = (tokens != PAD).unsqueeze(2)
        return (states * real).sum(1) / real.sum(1)

    def text_model(self, identity: str) -> TextModel:
        """Return the transformer as the encoder of an agent."""
        name = {LANGUAGE: identity}
        return TextModel(self._text.network, self._text.shift, name)


def make_language_network(config: LanguageConfig, tokenizer: Tokenizer) -> LanguageRepresentation:
    """Build a language representation with initial weights: random, or those of --encoder.model."""
    encoder = config.encoder
    if encoder.model is not None:
        text = hugging_face_model(encoder.model)
        longest = getattr(text.network.config, "max_position_embeddings", None)
        if longest is not None and longest < config.max_instruction_length:
            raise UserError(
                f"--max-instruction-length {config.max_instruction_length}: {encoder.model} reads "
                f"at most {longest} tokens; lower it"
            )
        return LanguageRepresentation(text, dict(text.identity), encoder.pooling)
    network = _small_transformer(encoder, len(tokenizer), config.max_instruction_length)
    sizes = (encoder.hidden_size, encoder.layers, encoder.heads, encoder.feed_forward_size)
    architecture = {
        "vocabulary size": str(len(tokenizer)),
        "encoder sizes": " ".join(map(str, sizes)),
        "longest instruction": str(config.max_instruction_length),
    }
    return LanguageRepresentation(TextModel(network, 0), architecture, encoder.pooling)


def _small_transformer(encoder: LanguageEncoderConfig, vocabulary: int, length: int) -> Any:
    """Return a BERT with random weights, without its pooler."""
    from transformers import BertConfig, BertModel

    sizes = BertConfig(
        vocab_size=vocabulary,
        hidden_size=encoder.hidden_size,
        num_hidden_layers=encoder.layers,
        num_attention_heads=encoder.heads,
        intermediate_size=encoder.feed_forward_size,
        hidden_dropout_prob=encoder.dropout,
        attention_probs_dropout_prob=encoder.dropout,
        max_position_embeddings=length,
        pad_token_id=PAD,
    )
    return BertModel(sizes, add_pooling_layer=False)


@torch.no_grad()
def embed(
    network: LanguageRepresentation, tokens: Tensor, centre: bool, batch_size: int = 128
) -> Tensor:
    """Return the embeddings (B, W) of instructions (B, L) on the CPU, in evaluation mode.

    Args:
        tokens: (B, L) token ids on the CPU.
    """
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    order = torch.argsort((tokens != PAD).sum(1), stable=True)
    parts = [network(tokens[rows].to(device)).float().cpu() for rows in order.split(batch_size)]
    network.train(was_training)
    embeddings = torch.cat(parts)[torch.argsort(order)]
    return embeddings - embeddings.mean(0) if centre else embeddings

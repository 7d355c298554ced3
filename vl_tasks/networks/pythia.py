"""Pythia: question-guided attention over grid cells, and the product of image and question vectors.

Jiang et al., "Pythia v0.1" (arXiv 1807.09956), as implemented in mmf's `pythia` with the settings
of CLIP-ViL: one list of grid features, without the fine-tuned layer of the original Pythia.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from clipnav.vl_tasks.grids.grids import Grids
from clipnav.vl_tasks.networks.attention import JointVectors, masked_softmax
from clipnav.vl_tasks.networks.mcan import WordEncoder
from clipnav.vl_tasks.settings.networks import PythiaConfig

_GLIMPSES = 2


def _normed_linear(inputs: int, outputs: int) -> nn.Module:
    """Build a linear layer with weight normalisation over the whole weight matrix."""
    return weight_norm(nn.Linear(inputs, outputs), dim=None)  # pyright: ignore[reportArgumentType]


def _normed_relu(inputs: int, outputs: int) -> nn.Sequential:
    """Build a weight-normalised linear layer followed by a ReLU."""
    return nn.Sequential(_normed_linear(inputs, outputs), nn.ReLU())


class Pythia(nn.Module):
    """Pythia network.

    Args:
        faithful: Attend to the padding of questions, as mmf does; then answers depend on the
            length of the padding.
    """

    def __init__(
        self,
        channels: int,
        vocabulary: int,
        embedding: int,
        classes: int,
        config: PythiaConfig,
        faithful: bool = False,
    ) -> None:
        super().__init__()
        self.faithful = faithful
        question = _GLIMPSES * config.hidden_size
        product = config.product_size
        self.words = WordEncoder(vocabulary, embedding, config.hidden_size)
        self.glimpses = nn.Sequential(
            nn.Linear(config.hidden_size, config.attention_size),
            nn.ReLU(),
            nn.Linear(config.attention_size, _GLIMPSES),
        )
        self.place_key = _normed_relu(channels, product)
        self.question_key = _normed_relu(question, product)
        self.attention = _normed_linear(product, 1)
        self.place_value = _normed_relu(channels, product)
        self.question_value = _normed_relu(question, product)
        self.dropout = nn.Dropout(config.dropout)
        self.text_head = _normed_relu(product, config.text_head_size)
        self.place_head = _normed_relu(product, product)
        self.text_classifier = nn.Linear(config.text_head_size, classes)
        self.place_classifier = nn.Linear(product, classes)

    @property
    def word_vectors(self) -> nn.Embedding:
        """Word embeddings, which GloVe can initialise."""
        return self.words.embedding

    def forward(self, grids: Grids, tokens: Tensor) -> Tensor:
        """Compute the logits (B, classes) of questions, token ids (B, T), about grids."""
        return self.classify(self.join(grids, tokens).fused)

    def join(self, grids: Grids, tokens: Tensor) -> JointVectors:
        """Compute the vectors of questions, token ids (B, T), about grids."""
        states = self.words(tokens)  # (B, T, hidden)
        mask = None if self.faithful else tokens != 0
        glimpses = masked_softmax(self.glimpses(states), mask)  # (B, T, 2)
        question = torch.flatten(glimpses.transpose(1, 2) @ states, 1)  # (B, 2 hidden)
        keys = self.place_key(grids.features) * self.question_key(question)[:, None]
        scores = self.attention(self.dropout(keys))  # (B, N, 1)
        weights = masked_softmax(scores, grids.mask)
        image = (weights * grids.features).sum(1)  # (B, C)
        joint = self.dropout(
            self.place_value(image) * self.question_value(question)
        )  # (B, product)
        return JointVectors(image, question, joint)

    def classify(self, fused: Tensor) -> Tensor:
        """Compute the logits (B, classes) of fused vectors."""
        texts = self.text_classifier(self.text_head(fused))
        return texts + self.place_classifier(self.place_head(fused))

"""Sentences as token ids for networks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.storage.errors import UserError
from clipnav.training.checkpoints import VOCABULARY
from clipnav.vl_tasks.text.glove import read_glove
from clipnav.vl_tasks.text.vocabulary import UNKNOWN, Vocabulary
from clipnav.vl_tasks.text.words import Tokenizer, tokenize_sentence


class Sentences:
    """Token ids of N sentences."""

    def __init__(self, texts: Sequence[str], vocabulary: Vocabulary, length: int) -> None:
        # A sentence of only punctuation needs a token, because attention over none is undefined.
        tokenizer = vocabulary.tokenizer
        words = [tokenize_sentence(text, tokenizer) or [UNKNOWN] for text in texts]
        self.tokens = vocabulary.encode(words, length)

    def batch(self, rows: np.ndarray, whole: bool = False) -> Tensor:
        """Return token ids (B, T) int64 of sentences.

        T is the length of the longest sentence of the batch or, if `whole`, the maximum length.
        """
        tokens = self.tokens[rows]
        longest = int((tokens != 0).sum(1).max())
        return torch.from_numpy(tokens if whole else tokens[:, :longest]).long()


def build_vocabulary(texts: Sequence[str], tokenizer: Tokenizer = "ours") -> Vocabulary:
    """Build the vocabulary of sentences."""
    return Vocabulary.build(
        (tokenize_sentence(text, tokenizer) for text in texts), tokenizer=tokenizer
    )


def run_vocabulary(
    run: Path | None, texts: Sequence[str], tokenizer: Tokenizer = "ours"
) -> Vocabulary:
    """Read the vocabulary of an existing run, or build one from training sentences."""
    if run is None:
        return build_vocabulary(texts, tokenizer)
    return Vocabulary.load(run / VOCABULARY, tokenizer)


def initialise_from_glove(embedding: nn.Embedding, path: Path, vocabulary: Vocabulary) -> None:
    """Initialise word embeddings with GloVe vectors."""
    vectors = read_glove(path, vocabulary)
    if vectors.shape[1] != embedding.embedding_dim:
        raise UserError(
            f"{path}: vectors have {vectors.shape[1]} dimensions, not {embedding.embedding_dim}; "
            f"set --embedding-size {vectors.shape[1]} or use another file"
        )
    with torch.no_grad():
        embedding.weight.copy_(torch.from_numpy(vectors))

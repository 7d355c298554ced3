"""Sentences as tokens for networks that read them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vl_tasks.vocabulary import UNKNOWN, Vocabulary
from vl_tasks.vqa.glove import read_glove
from vl_tasks.words import Tokenizer, cut_words


class Sentences:
    """N sentences, numbered.

    Args:
        texts: The sentences.
        vocabulary: Of their words, which `build_vocabulary` made.
        length: T, words that are read of each.
    """

    def __init__(self, texts: Sequence[str], vocabulary: Vocabulary, length: int) -> None:
        # A sentence of marks alone still needs something that can be attended to.
        tokenizer = vocabulary.tokenizer
        words = [cut_words(text, tokenizer) or [UNKNOWN] for text in texts]
        self.tokens = vocabulary.encode(words, length)

    def batch(self, rows: np.ndarray, whole: bool = False) -> Tensor:
        """Tokens (B, T) int64 of some sentences, T that of the longest; or of all, if `whole`."""
        tokens = self.tokens[rows]
        longest = int((tokens != 0).sum(1).max())
        return torch.from_numpy(tokens if whole else tokens[:, :longest]).long()


def build_vocabulary(texts: Sequence[str], tokenizer: Tokenizer = "ours") -> Vocabulary:
    """Collect the words of sentences."""
    return Vocabulary.build((cut_words(text, tokenizer) for text in texts), tokenizer=tokenizer)


def put_glove(embedding: nn.Embedding, path: Path, vocabulary: Vocabulary) -> int:
    """Let word vectors begin as GloVe's; returns how many words it knows.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or its vectors have another width.
    """
    vectors, found = read_glove(path, vocabulary)
    if vectors.shape[1] != embedding.embedding_dim:
        raise ValueError(
            f"{path}: vectors are {vectors.shape[1]} wide, not {embedding.embedding_dim}; "
            f"set --embedding {vectors.shape[1]} or take another file"
        )
    with torch.no_grad():
        embedding.weight.copy_(torch.from_numpy(vectors))
    return found

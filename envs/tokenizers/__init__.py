"""Tokenizers of instructions: words, subwords, and the tokenizers of Hugging Face models.

Words suit R2R. Subwords suit RxR: one vocabulary, learned from the training split, covers English,
Hindi and Telugu, which have too many rare words for a vocabulary of whole words.
"""

from clipnav.envs.tokenizers.tokenizers import (
    BOS,
    EOS,
    PAD,
    UNK,
    PretrainedTokenizer,
    SubwordTokenizer,
    Tokenizer,
    WordTokenizer,
    cached_tokens,
    cached_vocabulary,
    load_run_tokenizer,
    load_tokenizer,
    split_words,
)

__all__ = [
    "BOS",
    "EOS",
    "PAD",
    "UNK",
    "PretrainedTokenizer",
    "SubwordTokenizer",
    "Tokenizer",
    "WordTokenizer",
    "cached_tokens",
    "cached_vocabulary",
    "load_run_tokenizer",
    "load_tokenizer",
    "split_words",
]

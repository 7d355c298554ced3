"""The tokenizer of a run, and the words that two tokenizers share."""

import numpy as np

from clipnav.agents.settings import AgentConfig, RunConfig
from clipnav.envs.episodes import load_episodes, vocabulary_dataset
from clipnav.envs.tokenizers import (
    BOS,
    EOS,
    PAD,
    UNK,
    PretrainedTokenizer,
    SubwordTokenizer,
    Tokenizer,
    cached_vocabulary,
    load_run_tokenizer,
)
from clipnav.envs.tokenizers.tokenizers import WORD_START
from clipnav.envs.worlds import world_files
from clipnav.storage.errors import UserError
from clipnav.training.checkpoints import VOCABULARY


def make_tokenizer(config: RunConfig) -> Tokenizer:
    """Build the tokenizer of a run from its training split, or take that of its text model.

    A run with a language representation has its tokenizer.
    """
    if isinstance(config, AgentConfig) and config.language_representation is not None:
        return load_run_tokenizer(
            config.language_representation / VOCABULARY, "--language-representation"
        )
    if config.text.tokens == "pretrained":
        assert config.text.model is not None
        return PretrainedTokenizer(config.text.model)
    files = world_files(config.world, config.data_dir)
    source = vocabulary_dataset(config.dataset, files)
    episodes = load_episodes(source, "train", files, config.instruction_language)
    sentences = [episode.instruction for episode in episodes]
    if config.text.tokens == "subwords":
        return SubwordTokenizer.build(sentences, config.text.vocabulary_size)
    return cached_vocabulary(sentences)


def run_tokenizer(config: RunConfig) -> Tokenizer:
    """Return the saved tokenizer of a run that is resumed, or build one for a new run."""
    if config.resume is not None:
        return load_run_tokenizer(config.resume / VOCABULARY)
    return make_tokenizer(config)


def shared_words(first: Tokenizer, second: Tokenizer) -> np.ndarray:
    """Return the pairs of ids (N, 2) of the words that two vocabularies share.

    The order is that of the second. A piece that is a whole word equals that word.
    """
    if first != second and any(isinstance(v, PretrainedTokenizer) for v in (first, second)):
        raise UserError(
            "a follower with a Hugging Face model (--text.model) shares no words with a follower "
            "that has another model or none; choose the same --text.model"
        )
    ids = {piece: index for index, piece in enumerate(_pieces(first))}
    pairs = [(ids[piece], index) for index, piece in enumerate(_pieces(second)) if piece in ids]
    return np.array(pairs).reshape(-1, 2)


def _pieces(tokenizer: Tokenizer) -> list[str]:
    """Return a vocabulary in the notation of subword tokenizers."""
    if isinstance(tokenizer, SubwordTokenizer):
        return list(tokenizer.words)
    return [
        word
        if word in (PAD, UNK, EOS, BOS) or not any(letter.isalnum() for letter in word)
        else WORD_START + word
        for word in tokenizer.words
    ]

"""Networks of map agents and HAMT: their encoders, and weights of other runs."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from clipnav.agents.acting.environments import (
    feature_metadata,
    feature_statistics,
    reserve_text_states,
)
from clipnav.agents.acting.tokenizers import shared_words
from clipnav.agents.clear.loading import load_text_model, load_view_encoder
from clipnav.agents.envdrop.learner import make_follower_network
from clipnav.agents.envdrop.settings import RecurrentAgentConfig
from clipnav.agents.layers.encoders import InstructionEncoder
from clipnav.agents.layers.visual import ViewEncoder
from clipnav.agents.learning.agent_learner import load_network
from clipnav.agents.settings import read_agent_config
from clipnav.agents.settings.reading import run_spec
from clipnav.agents.transformer.layers import FeatureInput
from clipnav.agents.transformer.settings import TransformerAgentConfig
from clipnav.agents.transformer.text import (
    PretrainedTextEncoder,
    RecurrentTextEncoder,
    TransformerNetwork,
    pretrained_text_encoder,
)
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import Tokenizer, load_run_tokenizer
from clipnav.storage.errors import UserError
from clipnav.training.checkpoints import VOCABULARY, load_model

_WORDS = "text.words.weight"

# Builds an untrained network from the settings of a run, for an environment and a tokenizer; that
# of the environment if it is None.
MakeNetwork = Callable[[Any, VlnVectorEnv, Tokenizer | None], TransformerNetwork]


def make_encoders(
    config: TransformerAgentConfig, env: VlnVectorEnv
) -> tuple[PretrainedTextEncoder | None, ViewEncoder | None]:
    """Build the encoders of instructions and of views that replace those of a network."""
    text = views = None
    if config.language_representation is not None:
        read = load_text_model(config.language_representation, config.max_instruction_length)
        text = PretrainedTextEncoder(config.network, read, config.clear.tune_language)
    elif config.text.model is not None:
        text = pretrained_text_encoder(config.network, config.text.tune)
    if config.visual_representation is not None and env.feature_store is not None:
        views = load_view_encoder(config.visual_representation, env.feature_store, config.clear)
    return text, views


def fit_features(model: TransformerNetwork, env: VlnVectorEnv) -> None:
    """Set the scale of standardised features from the scans of an environment."""
    for part in model.modules():
        if isinstance(part, FeatureInput) and part.standardises and env.feature_store is not None:
            part.fit(*feature_statistics(env.feature_store, env))


def load_transformer(
    run: Path, split: str, config: TransformerAgentConfig, make: MakeNetwork
) -> tuple[VlnVectorEnv, Any]:
    """Build the environment of a split and load the network of a run; see `load_network`."""
    env, model = load_network(run, split, config, lambda config, env: make(config, env, None))
    reserve_text_states(model.text, [env])
    return env, model


def start_from(
    run: Path,
    config: TransformerAgentConfig,
    model: TransformerNetwork,
    env: VlnVectorEnv,
    make: MakeNetwork,
) -> int:
    """Copy the weights of another run; words of both vocabularies keep their embeddings."""
    source = load_run_tokenizer(run / VOCABULARY, "--start-from")
    target = env.tokenizer
    pairs = shared_words(source, target)
    spec = run_spec(run)
    if "follower-weights" in spec.abilities:
        weights = _follower_words(run, config, model, env, source)
    elif spec.name != config.agent:
        raise UserError(
            f"--start-from {run}: its agent is {spec.name}; choose a run of --agent "
            f"{config.agent}, or of a follower"
        )
    else:
        other = make(config, env, source)
        load_model(run, other, feature_metadata(config))
        weights = other.state_dict()
    if _WORDS in weights:
        words = model.state_dict()[_WORDS].clone()
        words[pairs[:, 1]] = weights[_WORDS][pairs[:, 0]]
        weights[_WORDS] = words
    model.load_state_dict(model.state_dict() | weights)
    return len(pairs)


def _follower_words(
    run: Path,
    config: TransformerAgentConfig,
    model: TransformerNetwork,
    env: VlnVectorEnv,
    tokenizer: Tokenizer,
) -> dict[str, Tensor]:
    """Return the word encoder of a follower's run under the names of a transformer."""
    read = read_agent_config(run)
    assert isinstance(read, RecurrentAgentConfig)
    settings = dataclasses.replace(read, device=config.device, resume=None, start_from=None)
    network = make_follower_network(settings, env, tokenizer, with_critic=settings.has_critic)
    load_model(run, network, feature_metadata(config))
    encoder = network.follower.encoder
    sizes = settings.follower.embedding_size, settings.follower.hidden_size
    width = config.network.hidden_size
    if not isinstance(model.text, RecurrentTextEncoder) or not isinstance(
        encoder, InstructionEncoder
    ):
        raise UserError(
            f"--start-from {run}: it is a follower, which gives its LSTM over words to an agent "
            "with --network.text-encoder lstm; neither can have a text model"
        )
    if sizes != (width, 2 * width):
        raise UserError(
            f"--start-from {run}: its word encoder has widths {sizes[0]} and {sizes[1]}, but "
            f"--network.hidden-size {width} requires {width} and {2 * width}; choose another run"
        )
    weights = {f"text.read.{name}": value for name, value in encoder.read.state_dict().items()}
    return {**weights, _WORDS: encoder.embedding.weight.detach()}

"""Networks and agents of the map agent, built from the settings of a run."""

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from agents.acting.environments import (
    feature_metadata,
    feature_statistics,
    make_env,
    reserve_text_states,
)
from agents.acting.tokenizers import shared_words
from agents.clear.loading import load_text_model, load_view_encoder
from agents.envdrop.encoders import InstructionEncoder
from agents.learning.follower_loss import make_follower_loss
from agents.map_transformer.agent import MapAgent
from agents.map_transformer.geometry import MapGeometry
from agents.map_transformer.memory import WorldFeatures
from agents.map_transformer.model import MapTransformer
from agents.settings import MapAgentConfig, MapTrainConfig, TrainConfig, agent_of
from agents.transformer.text import (
    PretrainedTextEncoder,
    RecurrentTextEncoder,
    pretrained_text_encoder,
)
from envs.navigation.device_features import world_features
from envs.navigation.vector_env import VlnVectorEnv
from envs.tokenizers import Tokenizer, load_tokenizer
from training.checkpoints import VOCABULARY, load_model
from training.devices import check_device
from training.settings import read_config

_WORDS = "text.words.weight"


def make_map_transformer(
    config: MapAgentConfig, env: VlnVectorEnv, tokenizer: Tokenizer | None = None
) -> MapTransformer:
    """Build an untrained network for an environment.

    Args:
        config: Settings of the run.
        env: Environment, which determines the width of the features.
        tokenizer: Tokenizer; that of the environment by default.

    Raises:
        FileNotFoundError: The run of a representation does not exist.
        ValueError: A text model or a representation cannot be read or does not match the settings.
    """
    width = 0 if env.feature_store is None else env.feature_store.width
    text = views = None
    if config.language_representation is not None:
        read = load_text_model(config.language_representation, config.max_instruction_length)
        text = PretrainedTextEncoder(config.network, read, config.clear.tune_language)
    elif config.text.model is not None:
        text = pretrained_text_encoder(config.network, config.text.tune)
    if config.visual_representation is not None and env.feature_store is not None:
        views = load_view_encoder(config.visual_representation, env.feature_store, config.clear)
    words = len(tokenizer or env.tokenizer)
    return MapTransformer(config.network, words, width, text, views).to(config.device)


def fit_features(model: MapTransformer, env: VlnVectorEnv) -> None:
    """Set the scale of standardised features from the scans of an environment."""
    if model.panorama.standardises and env.feature_store is not None:
        model.panorama.fit(*feature_statistics(env.feature_store, env))


def map_features(env: VlnVectorEnv, device: str) -> WorldFeatures:
    """Return the visual features and the geometry of the world of an environment."""
    features = world_features(env.nav_world, env.feature_store, torch.device(device))
    return WorldFeatures(MapGeometry.of(env.nav_world), features, device)


def greedy_agent(config: MapAgentConfig, model: MapTransformer, env: VlnVectorEnv) -> MapAgent:
    """Return a map agent that decides greedily in an environment."""
    return MapAgent(
        model,
        map_features(env, config.device),
        config.max_decisions,
        stops_at_best=config.stops_at_best,
        reads_instructions=config.reads_instructions,
    )


def load_map_agent(run: Path, split: str, config: MapTrainConfig) -> tuple[VlnVectorEnv, MapAgent]:
    """Build the environment of a split and load the map agent of a run.

    Args:
        run: Folder of a run of clipnav train-agent.
        split: "train", "val_seen", ...
        config: Settings.

    Raises:
        FileNotFoundError: The folder does not contain a run, or data is missing.
        ValueError: Files are damaged, the weights do not match the settings or the data, or torch
            cannot compute on the device.
    """
    check_device(config.device)
    metadata = feature_metadata(config)
    env = make_env(config, split, load_tokenizer(run / VOCABULARY), config.evaluation_batch_size)
    model = make_map_transformer(config, env)
    load_model(run, model, metadata)
    reserve_text_states(model.text, [env])
    return env, greedy_agent(config, model.eval(), env)


def start_from(run: Path, config: MapAgentConfig, model: MapTransformer, env: VlnVectorEnv) -> int:
    """Copy the weights of another run; words that both vocabularies contain keep their embeddings.

    Args:
        run: Folder of a run of clipnav pretrain-agent, of a map agent, or of a follower.
        config: Settings of the new run.
        model: Network of the new run.
        env: Environment of the new run.

    Returns:
        The number of words with an embedding of the other run.

    Raises:
        FileNotFoundError: The folder does not contain a run.
        ValueError: The networks have different sizes, or different text models.
    """
    source, target = load_tokenizer(run / VOCABULARY), env.tokenizer
    pairs = shared_words(source, target)
    if agent_of(run) == "follower":
        weights = _follower_words(run, config, model, env, source)
    else:
        other = make_map_transformer(config, env, source)
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
    config: MapAgentConfig,
    model: MapTransformer,
    env: VlnVectorEnv,
    tokenizer: Tokenizer,
) -> dict[str, Tensor]:
    """Return the word encoder of a follower's run under the names of a map transformer.

    Raises:
        ValueError: The text encoder is not an LSTM of the same size.
    """
    settings = dataclasses.replace(
        read_config(run, TrainConfig), device=config.device, resume=None, start_from=None
    )
    network = make_follower_loss(settings, env, tokenizer)
    load_model(run, network, feature_metadata(config))
    encoder = network.follower.encoder
    sizes = settings.follower.embedding_size, settings.follower.hidden_size
    width = config.network.hidden_size
    if not isinstance(model.text, RecurrentTextEncoder) or not isinstance(
        encoder, InstructionEncoder
    ):
        raise ValueError(
            f"--start-from {run}: it is a follower, which gives its LSTM over words to a map agent "
            "with --network.text-encoder lstm; neither can have a text model"
        )
    if sizes != (width, 2 * width):
        raise ValueError(
            f"--start-from {run}: its word encoder has widths {sizes[0]} and {sizes[1]}, but "
            f"--network.hidden-size {width} requires {width} and {2 * width}; choose another run"
        )
    weights = {f"text.read.{name}": value for name, value in encoder.read.state_dict().items()}
    return {**weights, _WORDS: encoder.embedding.weight.detach()}

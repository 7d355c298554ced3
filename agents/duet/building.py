"""Networks and agents of the map agent, built from the settings of a run."""

from pathlib import Path

import torch

from clipnav.agents.duet.agent import MapAgent
from clipnav.agents.duet.memory import WorldFeatures
from clipnav.agents.duet.model import MapTransformer
from clipnav.agents.duet.settings import MapAgentConfig, MapTrainConfig
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.transformer.building import load_transformer, make_encoders
from clipnav.envs.navigation.device_features import world_features
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import Tokenizer


def make_map_transformer(
    config: MapAgentConfig, env: VlnVectorEnv, tokenizer: Tokenizer | None = None
) -> MapTransformer:
    """Build an untrained network for an environment."""
    width = 0 if env.feature_store is None else env.feature_store.width
    text, views = make_encoders(config, env)
    words = len(tokenizer or env.tokenizer)
    return MapTransformer(config.network, words, width, text, views).to(config.device)


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
    """Build the environment of a split and load the map agent of a run; see `load_transformer`."""
    env, model = load_transformer(run, split, config, make_map_transformer)
    return env, greedy_agent(config, model, env)

"""Networks and agents of HAMT, built from the settings of a run."""

from pathlib import Path

from clipnav.agents.hamt.agent import HistoryAgent
from clipnav.agents.hamt.model import HistoryTransformer
from clipnav.agents.hamt.observations import HistoryFeatures
from clipnav.agents.hamt.settings import HistoryTrainConfig
from clipnav.agents.transformer.building import load_transformer, make_encoders
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import Tokenizer


def make_history_transformer(
    config: HistoryTrainConfig, env: VlnVectorEnv, tokenizer: Tokenizer | None = None
) -> HistoryTransformer:
    """Build an untrained network for an environment."""
    width = 0 if env.feature_store is None else env.feature_store.width
    text, views = make_encoders(config, env)
    words, angle = len(tokenizer or env.tokenizer), config.angle_feature_size
    return HistoryTransformer(config.network, words, width, angle, text, views).to(config.device)


def greedy_agent(
    config: HistoryTrainConfig, model: HistoryTransformer, env: VlnVectorEnv
) -> HistoryAgent:
    """Return an agent that decides greedily in an environment."""
    return HistoryAgent(model, HistoryFeatures(env, config.device), config.reads_instructions)


def load_history_agent(
    run: Path, split: str, config: HistoryTrainConfig
) -> tuple[VlnVectorEnv, HistoryAgent]:
    """Build the environment of a split and load the agent of a run; see `load_transformer`."""
    env, model = load_transformer(run, split, config, make_history_transformer)
    return env, greedy_agent(config, model, env)

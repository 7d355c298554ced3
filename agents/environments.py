"""Environments and followers as the settings of a run describe them."""

from typing import Any, cast

from gymnasium.spaces import Box, Dict
from gymnasium.vector import AutoresetMode

from agents.configs import TrainConfig
from agents.envdrop.follower import Follower
from encoders.feature_store import FeatureStore
from envs.tokenizer import WordTokenizer
from envs.vector_env import VlnVectorEnv
from envs.worlds import world_files


def make_env(
    config: TrainConfig, split: str, tokenizer: WordTokenizer | None = None
) -> VlnVectorEnv:
    """Vector environment over a split, in which a batch of episodes starts and ends together.

    Args:
        config: Settings of the run.
        split: "train", "val_seen", ...
        tokenizer: Vocabulary; built from the training split without.
    """
    return VlnVectorEnv(
        config.batch_size,
        dataset=config.dataset,
        world=config.world,
        data_dir=config.data_dir,
        features=config.features if config.vision else "none",
        split=split,
        language=config.spoken,
        max_episode_steps=config.max_episode_steps,
        max_instruction_length=config.max_instruction_length,
        angle_feature_size=config.angle_feature_size,
        shuffle=False,
        autoreset_mode=AutoresetMode.DISABLED,
        tokenizer=tokenizer,
    )


def make_follower(config: TrainConfig, env: VlnVectorEnv) -> Follower:
    """Untrained follower for an environment."""
    angle = config.angle_feature_size
    panorama = cast(Box, cast(Dict, env.single_observation_space)["panorama"])
    width = panorama.shape[-1]
    return Follower(len(env.tokenizer), width - angle, angle, config.follower).to(config.device)


def feature_notes(config: TrainConfig) -> dict[str, str]:
    """What made the visual features: weights trained on one encoder's mean nothing to another's."""
    if not config.vision:
        return {"encoder": "none"}
    path = config.features or world_files(config.world, config.data_dir).features
    if path is None:
        raise ValueError(
            f"world {config.world} comes without features: name a store with --features, "
            "or train with --no-vision"
        )
    metadata: dict[str, Any] = FeatureStore.open(path).metadata
    return {"encoder": " ".join(str(metadata.get(name, "")) for name in _ENCODER_FIELDS).strip()}


_ENCODER_FIELDS = ("encoder", "weights_sha256")

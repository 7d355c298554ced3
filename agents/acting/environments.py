"""Environments and followers built from the settings of a run."""

from collections.abc import Iterable

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor, nn

from clipnav.agents.layers.visual import FeatureScale
from clipnav.agents.settings import RunConfig
from clipnav.envs.episodes.episode import check_goals
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.navigation.vln_env import make_vln_vector_env
from clipnav.envs.tokenizers import Tokenizer
from clipnav.envs.worlds import world_files
from clipnav.storage.features.store import FeatureStore

# Panoramas, or instructions, to estimate mean and standard deviation from.
_STATISTICS = 1_000


def make_env(
    config: RunConfig, split: str, tokenizer: Tokenizer | None = None, num_envs: int | None = None
) -> VlnVectorEnv:
    """Build the vector environment of a split, without autoreset.

    Its observations contain indices of viewpoints and views; `DeviceFeatures` gathers the features.
    """
    return make_vln_vector_env(
        num_envs or config.batch_size,
        dataset=config.dataset,
        world=config.world,
        data_dir=config.data_dir,
        features=config.features if config.vision else "none",
        split=split,
        language=config.instruction_language,
        max_episode_steps=config.max_episode_steps,
        max_instruction_length=config.max_instruction_length,
        angle_feature_size=config.angle_feature_size,
        shuffle=False,
        autoreset_mode=AutoresetMode.DISABLED,
        tokenizer=tokenizer,
        observe="indices",
        copy=False,
        teacher=config.teacher,
        reward=getattr(config, "reward", "distance"),  # speakers have no rewards
        exchanged_words=config.exchanged_words,
    )


def make_evaluation_envs(config: RunConfig, tokenizer: Tokenizer) -> dict[str, VlnVectorEnv]:
    """Build the environments of the evaluation splits of a run, by split."""
    files = world_files(config.world, config.data_dir)
    for split in config.evaluation_splits:
        try:
            files.annotations(config.dataset, split)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{error}; choose the evaluation splits with --evaluation-splits and --select-by"
            ) from error
    envs = {
        split: make_env(config, split, tokenizer, config.evaluation_batch_size)
        for split in config.evaluation_splits
    }
    for split, env in envs.items():
        check_goals(env.episodes, f"--evaluation-splits {split}")
    return envs


def reserve_text_states(encoder: nn.Module, envs: Iterable[VlnVectorEnv]) -> None:
    """Store the hidden states of a frozen text encoder for the instructions of environments."""
    frozen = getattr(encoder, "frozen", None)
    if frozen is not None:
        frozen.reserve(env.split.tokens for env in envs)


def fit_scale(scale: FeatureScale | None, env: VlnVectorEnv) -> None:
    """Set the scale of standardised features from the scans of an environment, if there is one."""
    if scale is not None and env.feature_store is not None:
        scale.fit(*feature_statistics(env.feature_store, env))


def feature_store(config: RunConfig) -> FeatureStore:
    """Open the visual features of a run."""
    store = world_files(config.world, config.data_dir).open_features(config.features)
    assert store is not None  # only "none" gives none
    return store


def feature_statistics(store: FeatureStore, env: VlnVectorEnv) -> tuple[Tensor, Tensor]:
    """Return mean (D,) and standard deviation (D,) of features over the scans of an environment."""
    world = env.nav_world
    # A few hundred panoramas give both to a few per cent.
    chosen = range(0, len(world), max(1, len(world) // _STATISTICS))
    rows = [store.row(world.scan_names[node], world.viewpoint_ids[node]) for node in chosen]
    views = torch.from_numpy(store.take(np.array(rows))).flatten(0, 1)  # (N * 36, D)
    return views.mean(0), views.std(0)


def feature_metadata(config: RunConfig) -> dict[str, str]:
    """Return the encoder of the visual features; weights are valid for this encoder only."""
    if not config.vision:
        return {"encoder": "none"}
    return {"encoder": feature_store(config).encoder}

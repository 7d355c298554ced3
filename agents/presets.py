"""Default settings by data set and world."""

import dataclasses

from agents.configs import (
    FollowerConfig,
    OptimiserConfig,
    SpeakerConfig,
    SpeakerTrainConfig,
    TrainConfig,
)
from envs.worlds import Dataset, World

# Published settings (CLIP-ViL's scripts): RMSprop 1e-4 without a schedule, batches of 64.
PRESETS: dict[str, TrainConfig] = {
    "r2r": TrainConfig(dataset="r2r"),
    "rxr": TrainConfig(
        dataset="rxr", max_instruction_length=160, iterations=200_000, evaluate_every=1_000
    ),
    "r4r": TrainConfig(dataset="r4r", max_instruction_length=160),
}

# The built-in houses have a few thousand paths and a few hundred words: half the width and a step
# twenty times as long learn them in minutes on two cores.
_HOUSES = {
    "world": "houses",
    "iterations": 3_000,
    "evaluate_every": 500,
    "max_episode_steps": 20,
    "follower": FollowerConfig(embedding_size=128, hidden_size=256, action_size=32),
    "optimiser": OptimiserConfig(
        name="adam", learning_rate=2e-3, schedule="cosine", warmup=50, clip_norm=5.0
    ),
}


def preset(dataset: Dataset, world: World) -> TrainConfig:
    """Default settings for a data set in a world."""
    config = PRESETS[dataset]
    if world == "houses":
        return dataclasses.replace(config, **_HOUSES)
    return dataclasses.replace(config, world=world)


def speaker_preset(dataset: Dataset, world: World) -> SpeakerTrainConfig:
    """Default settings of a speaker for a data set in a world (CLIP-ViL's scripts: Adam 1e-4)."""
    config = SpeakerTrainConfig(
        dataset=dataset,
        world=world,
        max_instruction_length=80 if dataset == "r2r" else 160,
        optimiser=OptimiserConfig(name="adam"),
    )
    if world == "houses":
        return dataclasses.replace(
            config,
            iterations=2_000,
            max_episode_steps=20,
            speaker=SpeakerConfig(embedding_size=128, hidden_size=256, dropout=0.4),
            optimiser=_HOUSES["optimiser"],
        )
    return config

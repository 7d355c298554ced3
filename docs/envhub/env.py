"""Continuous episodes of clipnav for LeRobot's EnvHub (https://huggingface.co/docs/lerobot/envhub).

A repository on Hugging Face that contains this file provides the environments to LeRobot.
"""

from functools import partial

import gymnasium
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

import clipnav  # registers the environments  # noqa: F401

SPLITS = ("val_seen", "val_unseen")


def make_env(n_envs: int = 1, use_async_envs: bool = False) -> dict[str, dict[int, VectorEnv]]:
    """Return the vector environments of R2R-CE by suite and number of the split in `SPLITS`."""
    # AsyncVectorEnv returns instructions, which are texts of several lengths, wrong from shared
    # memory.
    kind = partial(AsyncVectorEnv, shared_memory=False) if use_async_envs else SyncVectorEnv
    return {
        "r2r-ce": {
            number: kind([partial(gymnasium.make, "R2R-CE-CLIP-v0", split=split)] * n_envs)
            for number, split in enumerate(SPLITS)
        }
    }

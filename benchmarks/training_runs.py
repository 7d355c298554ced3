"""What the benchmarks of training share: settings, random features and weight updates."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.optim import Optimizer

from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.agents.envdrop.speaker_training import SpeakerLearner
from clipnav.agents.settings import FeatureDropout, FollowerConfig, ReinforcementConfig
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.worlds import named_world, world_files
from clipnav.storage.features.store import FeatureStore


@dataclass(frozen=True)
class Setting:
    """Settings of a training that affect its speed.

    Attributes:
        name: Name in the figures.
        dropout: Scope of a feature dropout mask.
        bucket: Number of batches among which instructions are sorted by length; 1 for no sorting.
        standardise: Whether visual features are standardised.
    """

    name: str
    dropout: FeatureDropout
    bucket: int
    standardise: bool


PUBLISHED = Setting("published setting", "element", 1, False)
DEFAULT = Setting("default setting", "episode", 16, True)


def random_run(data_dir: Path | None, seed: int, width: int, features: Path) -> TrainConfig:
    """Write random features and return the settings of a follower's run that uses them."""
    world = named_world(None, data_dir)
    files = world_files(world, data_dir)
    suffix = "_connectivity.json"
    scans = sorted(p.name.removesuffix(suffix) for p in files.connectivity_dir.glob(f"*{suffix}"))
    nav_world = NavWorld.load(scans, files.connectivity_dir)
    rng = np.random.default_rng(seed)
    # A single panorama would stay in the CPU cache, so a hundred different ones are shuffled.
    panoramas = rng.normal(size=(100, 36, width)).astype(np.float16)
    views = panoramas[rng.integers(len(panoramas), size=len(nav_world))]
    names = zip(nav_world.scan_names, nav_world.viewpoint_ids, strict=True)
    keys = [f"{scan}_{viewpoint}" for scan, viewpoint in names]
    FeatureStore.write(features, views, keys, {"encoder": "random"})
    return TrainConfig(
        world=world,
        data_dir=data_dir,
        features=features,
        max_episode_steps=35,
        imitation_weight=0.2,
        evaluation_splits=("val_unseen",),
        select_by="val_unseen",
        seed=seed,
        follower=FollowerConfig(),
        reinforcement=ReinforcementConfig(weight=1.0),
    )


def with_setting(run: TrainConfig, setting: Setting) -> TrainConfig:
    """Return the settings of a follower's run in a setting."""
    follower = replace(
        run.follower, feature_dropout_kind=setting.dropout, standardise=setting.standardise
    )
    return replace(run, bucket=setting.bucket, follower=follower)


def weight_updates(
    learner: FollowerLearner | SpeakerLearner, trained: int = 0
) -> Callable[[], None]:
    """Train for some iterations; return a function that runs further ones with constant weights."""
    learner.network.train()
    iterations = itertools.count()

    def iterate() -> None:
        learner.optimiser.zero_grad(set_to_none=True)
        learner.backward(next(iterations))
        for part in learner.clipped:
            torch.nn.utils.clip_grad_norm_(part.parameters(), 40.0)
        learner.optimiser.step()

    for _ in range(trained):
        iterate()
    keep_weights([learner.optimiser])
    return iterate


def keep_weights(optimisers: Iterable[Optimizer]) -> None:
    """Set the learning rate to 0, so that the trajectories of all measured iterations are alike."""
    for optimiser in optimisers:
        optimiser.param_groups[0]["lr"] = 0.0

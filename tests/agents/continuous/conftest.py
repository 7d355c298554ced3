"""A world of two little buildings whose pictures encode the pose, for continuous agents."""

import numpy as np
import pytest

from clipnav.agents.continuous import tasks
from clipnav.agents.continuous.settings import ContinuousNetworkConfig, ContinuousTrainConfig
from clipnav.agents.continuous.walking import FrozenFeatures
from clipnav.encoders.clip import ClipEncoder
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.settings import task_settings
from clipnav.training.optimiser_settings import OptimiserConfig
from tests.envs.continuous.conftest import BoxSimulator

PICTURE = (8, 8)


class CornerEncoder:
    """Encoder with a grid of 2 by 2 cells: the colours of the picture's first pixel."""

    name, weights_sha256 = "corner", "0" * 64
    precision, image_size = "fp32", PICTURE

    def grid(self, images: np.ndarray) -> np.ndarray:
        """Return (N, 2, 2, 3) features."""
        corner = images[:, 0, 0].astype(np.float32) / 255
        return np.broadcast_to(corner[:, None, None], (len(images), 2, 2, 3)).copy()


@pytest.fixture
def corner_features() -> FrozenFeatures:
    """Features of that encoder, with depth pictures of 16 pixels."""
    return FrozenFeatures(CornerEncoder(), 16)  # type: ignore[arg-type]


@pytest.fixture
def make_env(split_of_boxes):
    """Function that builds an environment in the two buildings."""

    def build(num_envs=4, **changes):
        values = {"rgb_size": PICTURE, "depth_size": PICTURE, "max_episode_steps": 80}
        settings = task_settings("r2r", **{**values, **changes})
        simulator = BoxSimulator(settings)
        return ContinuousVectorEnv(split_of_boxes, simulator, num_envs, settings, "Disabled")

    return build


@pytest.fixture
def tiny_network() -> ContinuousNetworkConfig:
    """Sizes of a tiny network."""
    return ContinuousNetworkConfig(
        word_size=4,
        text_size=6,
        rgb_size=5,
        depth_size=4,
        depth_channels=3,
        state_size=16,
        position_size=2,
        action_size=3,
    )


@pytest.fixture
def tiny_config(tiny_network, tmp_path) -> ContinuousTrainConfig:
    """Settings of a short run."""
    return ContinuousTrainConfig(
        rounds=1,
        iterations=6,
        evaluate_every=2,
        evaluation_splits=("val_seen",),
        evaluation_episodes=None,
        evaluation_batch_size=4,
        batch_size=3,
        collect_batch_size=3,
        depth_pixels=16,
        demonstrations=tmp_path / "demonstrations",
        output=tmp_path / "run",
        network=tiny_network,
        optimiser=OptimiserConfig(name="adam", learning_rate=1e-2),
        threads=1,
    )


@pytest.fixture
def box_world(monkeypatch, split_of_boxes):
    """Lets trainings run in the two buildings, with every split equal."""

    def load(dataset, split="train", world="houses", tokenizer=None):
        return split_of_boxes

    monkeypatch.setattr(tasks, "load_continuous_split", load)
    monkeypatch.setattr(tasks, "HouseSimulator", BoxSimulator)
    monkeypatch.setattr(ClipEncoder, "load", lambda *_, **__: CornerEncoder())
    real = tasks.task_settings
    monkeypatch.setattr(tasks, "task_settings", lambda *a, **k: real(*a, **k, max_episode_steps=80))

"""The world of two little buildings for ETPNav, whose pictures encode the pose."""

import numpy as np
import pytest

from clipnav.agents.etpnav import panoramas, task
from clipnav.agents.etpnav.settings import EtpNavNetworkConfig, EtpNavTrainConfig
from clipnav.encoders.clip import ClipEncoder
from clipnav.training.optimiser_settings import OptimiserConfig
from tests.envs.continuous.conftest import BoxSimulator


class PixelEncoder:
    """Encoder whose features are the colours of a picture's first pixel."""

    name, weights_sha256 = "pixel", "0" * 64
    embed_dim, image_size = 3, (8, 8)

    def pooled(self, images: np.ndarray) -> np.ndarray:
        """Return (N, 3) features."""
        return images[:, 0, 0].astype(np.float32) / 255


@pytest.fixture
def ghost_config(tmp_path) -> EtpNavTrainConfig:
    """Settings of a short run of a tiny network."""
    return EtpNavTrainConfig(
        iterations=4,
        evaluate_every=2,
        evaluation_splits=("val_seen",),
        select_by="val_seen",
        evaluation_episodes=None,
        evaluation_batch_size=4,
        batch_size=3,
        bucket=1,
        max_decisions=6,
        expert_iterations=2,
        max_instruction_length=12,
        output=tmp_path / "run",
        threads=1,
        optimiser=OptimiserConfig(name="adam", learning_rate=5e-3),
        network=EtpNavNetworkConfig(
            hidden_size=16,
            heads=2,
            feed_forward_size=16,
            text_layers=1,
            panorama_layers=1,
            cross_layers=1,
            max_text_length=16,
            max_steps=10,
        ),
    )


@pytest.fixture
def ghost_world(monkeypatch, split_of_boxes):
    """Lets ETPNav train in the two buildings, with every split equal."""
    monkeypatch.setattr(task, "load_continuous_split", lambda *_, **__: split_of_boxes)
    monkeypatch.setattr(task, "run_tokenizer", lambda _: split_of_boxes.tokenizer)
    monkeypatch.setattr(task, "HouseSimulator", BoxSimulator)
    monkeypatch.setattr(panoramas, "HouseSimulator", BoxSimulator)
    monkeypatch.setattr(ClipEncoder, "load", lambda *_, **__: PixelEncoder())

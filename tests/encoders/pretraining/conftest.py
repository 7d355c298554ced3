from dataclasses import replace

import pytest
import torch
from open_clip.model import CLIP, set_model_preprocess_cfg

from clipnav.encoders.pretraining.learner import EncoderLearner
from clipnav.encoders.pretraining.settings import PretrainEncoderConfig, default_optimiser
from clipnav.training.trainer import Trainer


@pytest.fixture
def model() -> CLIP:
    """Tiny CLIP with a ResNet and random weights."""
    torch.manual_seed(0)
    vision = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}
    text = {"context_length": 8, "vocab_size": 100, "width": 16, "heads": 2, "layers": 1}
    model = CLIP(embed_dim=32, vision_cfg=vision, text_cfg=text)  # type: ignore[arg-type]
    set_model_preprocess_cfg(model, {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]})
    return model


@pytest.fixture
def train(tmp_path):
    """Function that trains an objective on batches of a function, and returns 60 losses."""

    def train_objective(objective, batch) -> list[float]:
        optimiser = replace(default_optimiser(60), learning_rate=2e-3)
        config = PretrainEncoderConfig(iterations=60, optimiser=optimiser, output=tmp_path)
        learner = EncoderLearner(objective, batch, optimiser)
        trainer = Trainer(config, learner, lambda iteration: iteration)
        return [trainer.step()["loss"] for _ in range(60)]

    return train_objective

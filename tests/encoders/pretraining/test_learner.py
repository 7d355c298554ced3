import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from clipnav.encoders.pretraining.contrastive import Contrastive
from clipnav.encoders.pretraining.learner import EncoderLearner, weight_groups
from clipnav.encoders.pretraining.settings import PretrainEncoderConfig, default_optimiser
from clipnav.training.trainer import Trainer


class Line(nn.Module):
    """Objective with one weight that has an upper bound."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.line = nn.Linear(3, 1)
        self.architecture = {"objective": "line"}

    def loss(self, batch: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        return (self.line(batch) - 1).square().mean(), {"batch": batch.mean().item()}

    @torch.no_grad()
    def constrain(self) -> None:
        self.line.bias.clamp_(max=0.5)


def batch(index: int) -> torch.Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(index))


def make_trainer(run: Path, objective: Line, resume: Path | None = None, batch=batch) -> Trainer:
    optimiser = replace(default_optimiser(), warmup=2)
    config = PretrainEncoderConfig(
        iterations=12, save_every=4, optimiser=optimiser, output=run, resume=resume
    )
    learner = EncoderLearner(objective, batch, optimiser)
    return Trainer(config, learner, lambda iteration: iteration)


def test_the_weights_equal_those_of_a_plain_loop(tmp_path: Path):
    expected = Line()
    groups = [
        {"params": [expected.line.weight], "weight_decay": 0.05},
        {"params": [expected.line.bias], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), foreach=True)
    for step in range(12):
        rate = (step + 1) / 2 if step < 2 else 0.5 * (1 + math.cos(math.pi * (step - 2) / 10))
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * rate
        optimiser.zero_grad()
        expected.loss(batch(step))[0].backward()
        nn.utils.clip_grad_norm_(expected.parameters(), 1.0)
        optimiser.step()
        expected.constrain()
    objective = Line()
    make_trainer(tmp_path / "run", objective).train()
    assert torch.equal(objective.line.weight, expected.line.weight)
    assert torch.equal(objective.line.bias, expected.line.bias)


def test_only_matrices_and_kernels_have_weight_decay():
    parts = {
        "token_embedding": nn.Embedding(3, 2),
        "line": nn.Linear(2, 2),
        "norm": nn.LayerNorm(2),
    }
    decayed, undecayed = weight_groups(nn.ModuleDict(parts))
    assert "weight_decay" not in decayed
    assert undecayed["weight_decay"] == 0.0
    assert list(map(id, decayed["params"])) == [id(parts["line"].weight)]
    assert len(undecayed["params"]) == 4


@pytest.mark.parametrize(("scale", "kept"), [(9.0, math.log(100)), (-1.0, 0.0), (2.0, 2.0)])
def test_the_scale_of_logits_is_clipped(scale, kept):
    model = nn.Module()
    model.vocab_size = 5
    model.logit_scale = nn.Parameter(torch.tensor(scale))
    Contrastive(model, lambda texts: torch.zeros(len(texts))).constrain()
    assert model.logit_scale.item() == pytest.approx(kept)

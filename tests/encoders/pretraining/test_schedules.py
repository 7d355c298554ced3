import math

import pytest
import torch
from torch import nn

from encoders.pretraining.contrastive import Contrastive
from encoders.pretraining.schedules import TrainConfig, make_optimizer, schedule


def test_rate_rises_in_a_line_and_falls_by_half_a_cosine():
    found = [schedule(step, 20, 0.1) for step in range(20)]
    fall = [0.5 * (1 + math.cos(math.pi * k / 18)) for k in range(18)]
    assert found == pytest.approx([0.5, 1.0, *fall])


def test_only_matrices_and_kernels_decay():
    parts = {
        "token_embedding": nn.Embedding(3, 2),
        "line": nn.Linear(2, 2),
        "norm": nn.LayerNorm(2),
    }
    network = nn.ModuleDict(parts)
    decayed, free = make_optimizer(network, TrainConfig(weight_decay=0.3)).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0.0)
    assert list(map(id, decayed["params"])) == [id(network["line"].weight)]
    assert len(free["params"]) == 4


@pytest.mark.parametrize(("scale", "kept"), [(9.0, math.log(100)), (-1.0, 0.0), (2.0, 2.0)])
def test_logits_are_scaled_within_bounds(scale, kept):
    model = nn.Module()
    model.logit_scale = nn.Parameter(torch.tensor(scale))
    Contrastive(model, lambda texts: torch.zeros(len(texts))).constrain()
    assert model.logit_scale.item() == pytest.approx(kept)

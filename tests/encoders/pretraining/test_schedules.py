import math

import pytest
import torch
from torch import nn

from encoders.pretraining.contrastive import Contrastive
from encoders.pretraining.schedules import PretrainingConfig, make_optimizer, schedule


def test_the_schedule_is_a_linear_warmup_and_a_cosine_decay():
    rates = [schedule(step, 20, 0.1) for step in range(20)]
    decay = [0.5 * (1 + math.cos(math.pi * k / 18)) for k in range(18)]
    assert rates == pytest.approx([0.5, 1.0, *decay])


def test_only_matrices_and_kernels_have_weight_decay():
    parts = {
        "token_embedding": nn.Embedding(3, 2),
        "line": nn.Linear(2, 2),
        "norm": nn.LayerNorm(2),
    }
    network = nn.ModuleDict(parts)
    decayed, undecayed = make_optimizer(network, PretrainingConfig(weight_decay=0.3)).param_groups
    assert (decayed["weight_decay"], undecayed["weight_decay"]) == (0.3, 0.0)
    assert list(map(id, decayed["params"])) == [id(network["line"].weight)]
    assert len(undecayed["params"]) == 4


@pytest.mark.parametrize(("scale", "kept"), [(9.0, math.log(100)), (-1.0, 0.0), (2.0, 2.0)])
def test_the_scale_of_logits_is_clipped(scale, kept):
    model = nn.Module()
    model.logit_scale = nn.Parameter(torch.tensor(scale))
    Contrastive(model, lambda texts: torch.zeros(len(texts))).constrain()
    assert model.logit_scale.item() == pytest.approx(kept)

import pytest
import torch
from torch import nn

from training.optimiser_settings import OptimiserConfig
from training.optimisers import learning_rate, limit_gradient, make_optimiser


def test_learning_rates_follow_their_schedules():
    steps = OptimiserConfig(
        learning_rate=1.0, schedule="steps", warmup=10, warmup_start=0.2, milestones=(20, 30)
    )
    rates = [learning_rate(steps, k, k / 40) for k in (0, 4, 9, 19, 20, 30)]
    assert rates == pytest.approx([0.28, 0.6, 1, 1, 0.1, 0.01])
    noam = OptimiserConfig(learning_rate=(512 * 20_000) ** -0.5, schedule="noam", warmup=20_000)
    for step in (1, 100, 20_000, 80_000):
        published = 512**-0.5 * min(step**-0.5, step * 20_000**-1.5)
        assert learning_rate(noam, step - 1, 0.5) == pytest.approx(published)
    cosine = OptimiserConfig(learning_rate=2.0, schedule="cosine")
    assert learning_rate(cosine, 50, 0.5) == pytest.approx(1.0)
    assert learning_rate(cosine, 999, 1.0) == pytest.approx(0.0)
    warm = OptimiserConfig(learning_rate=1.0, schedule="cosine", warmup=10)
    assert [learning_rate(warm, k, 0.0) for k in (0, 9)] == pytest.approx([0.1, 1.0])
    assert learning_rate(OptimiserConfig(learning_rate=1.0), 999, 1.0) == 1.0


@pytest.mark.parametrize(
    ("clip", "expected"), [("none", [3, 4]), ("norm", [0.3, 0.4]), ("value", [0.5, 0.5])]
)
def test_gradients_are_limited_by_norm_or_by_value(clip, expected):
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.grad = torch.tensor([[3.0, 4.0]])
    assert limit_gradient(layer, OptimiserConfig(clip=clip, clip_at=0.5)) == pytest.approx(5)
    assert layer.weight.grad[0].tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["adam", "adamw", "adamax"])
def test_optimisers_take_their_settings(name):
    config = OptimiserConfig(name, 0.25, (0.8, 0.9), 1e-7, weight_decay=0.3)
    made = make_optimiser(nn.Linear(2, 1), config)
    assert type(made).__name__.lower() == name
    group = made.param_groups[0]
    assert (group["lr"], group["betas"], group["eps"]) == (0.25, (0.8, 0.9), 1e-7)
    assert group["weight_decay"] == (0.3 if name == "adamw" else 0)


def test_a_part_may_learn_at_a_rate_of_its_own():
    network = nn.ModuleList([nn.Linear(2, 1), nn.Linear(3, 1)])
    made = make_optimiser(network, OptimiserConfig("rmsprop", 0.5), network[1], 0.1)
    assert isinstance(made, torch.optim.RMSprop)
    assert [len(group["params"]) for group in made.param_groups] == [2, 2]
    assert made.param_groups[1]["params"][0] is network[1].weight
    assert made.param_groups[1]["rate_factor"] == pytest.approx(0.2)

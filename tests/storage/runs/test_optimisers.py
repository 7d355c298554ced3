import bisect

import pytest
import torch
from torch import nn

from storage.runs.optimiser_settings import OptimiserConfig
from storage.runs.optimisers import learning_rate, limit_gradient, make_optimiser


def test_learning_rates_follow_their_schedules():
    steps = OptimiserConfig(
        learning_rate=1.0, schedule="steps", warmup=10, warmup_start=0.2, milestones=(20, 30)
    )
    rates = [learning_rate(steps, k, k / 40) for k in (0, 5, 9, 10, 19, 20, 30)]
    assert rates == pytest.approx([0.2, 0.6, 0.92, 1, 1, 0.1, 0.01])
    noam = OptimiserConfig(learning_rate=(512 * 20_000) ** -0.5, schedule="noam", warmup=20_000)
    for step in (1, 100, 20_000, 80_000):
        published = 512**-0.5 * min(step**-0.5, step * 20_000**-1.5)
        assert learning_rate(noam, step - 1, 0.5) == pytest.approx(published)
    cosine = OptimiserConfig(learning_rate=2.0, schedule="cosine")
    assert learning_rate(cosine, 50, 0.5) == pytest.approx(1.0)
    assert learning_rate(cosine, 999, 1.0) == pytest.approx(0.0)
    warm = OptimiserConfig(learning_rate=1.0, schedule="cosine", warmup=10)
    assert [learning_rate(warm, k, 0.0) for k in (0, 9, 10)] == pytest.approx([0.0, 0.9, 1.0])
    assert learning_rate(warm, 5, 0.5) == pytest.approx(0.25)
    assert learning_rate(OptimiserConfig(learning_rate=1.0), 999, 1.0) == 1.0


def test_warm_up_is_that_of_torchs_schedulers_stepped_after_each_update():
    """mmf steps a LambdaLR after each update: the first update has the rate of number 0."""
    start, length, milestones = 0.25, 7, (11, 13)
    settings = OptimiserConfig(
        learning_rate=0.5,
        schedule="steps",
        warmup=length,
        warmup_start=start,
        milestones=milestones,
        decay=0.2,
    )
    made = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.5)

    def published(update):
        if update <= length:
            return start * (1 - update / length) + update / length
        return 0.2 ** bisect.bisect(milestones, update)

    schedule = torch.optim.lr_scheduler.LambdaLR(made, published)
    for iteration in range(16):
        used = made.param_groups[0]["lr"]
        assert learning_rate(settings, iteration, iteration / 16) == pytest.approx(used)
        made.step()
        schedule.step()


@pytest.mark.parametrize(("records", "batch"), [(443_757, 64), (1_000, 30), (90, 30)])
def test_stairs_of_warm_up_are_openvqas(records, batch):
    """Its WarmupOptimizer counts an update, then takes its rate by quarters of four epochs."""
    epoch = records / batch
    settings = OptimiserConfig(learning_rate=2.0, warmup=int(3 * epoch), warmup_stairs=3)
    edges = [int(epoch * 4 * quarter) for quarter in (0.25, 0.5, 0.75)]
    near = {edge + away for edge in edges for away in (-2, -1, 0, 1)} | {0, 4 * int(epoch)}
    for iteration in near:
        count = iteration + 1
        quarters = next((n for n, edge in enumerate(edges, 1) if count <= edge), 4)
        assert learning_rate(settings, iteration, 0.0) == pytest.approx(2.0 * quarters / 4)


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

import bisect
import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from transformers import get_linear_schedule_with_warmup

from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.optimisers import clip_gradient, learning_rate, make_optimiser
from clipnav.training.settings import check_unused_options, idle_training_settings


def test_learning_rates_follow_the_schedules():
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


@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_the_schedule_open_clip_equals_its_cosine_lr(warmup):
    """`cosine_lr` of open_clip_train/scheduler.py, whose step counts from 0."""
    config = OptimiserConfig(learning_rate=2.0, schedule="open_clip", warmup=warmup)
    for step in range(20):
        if step < warmup:
            published = 2.0 * (step + 1) / warmup
        else:
            share = (step - warmup) / (20 - warmup)
            published = 0.5 * (1 + math.cos(math.pi * share)) * 2.0
        assert learning_rate(config, step, step / 20) == pytest.approx(published)


def test_a_schedule_that_ignores_the_start_of_the_warmup_names_it():
    config = OptimiserConfig(schedule="open_clip", warmup=5)
    assert config.idle()["warmup_start"] == "with --optimiser.schedule open_clip"


@pytest.mark.parametrize("warmup", [0, 5])
def test_linear_decay_equals_transformers(warmup):
    settings = OptimiserConfig(learning_rate=0.5, schedule="linear", warmup=warmup)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.5)
    schedule = get_linear_schedule_with_warmup(optimiser, warmup, 20)
    for iteration in range(20):
        used = optimiser.param_groups[0]["lr"]
        assert learning_rate(settings, iteration, iteration / 20) == pytest.approx(used)
        optimiser.step()
        schedule.step()


def test_warmup_equals_torch_schedulers_stepped_after_each_update():
    """mmf steps a LambdaLR after each update, so the first update has the rate of step 0."""
    start, length, milestones = 0.25, 7, (11, 13)
    settings = OptimiserConfig(
        learning_rate=0.5,
        schedule="steps",
        warmup=length,
        warmup_start=start,
        milestones=milestones,
        decay=0.2,
    )
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.5)

    def published(update):
        if update <= length:
            return start * (1 - update / length) + update / length
        return 0.2 ** bisect.bisect(milestones, update)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, published)
    for iteration in range(16):
        used = optimiser.param_groups[0]["lr"]
        assert learning_rate(settings, iteration, iteration / 16) == pytest.approx(used)
        optimiser.step()
        schedule.step()


@pytest.mark.parametrize(("records", "batch"), [(443_757, 64), (1_000, 30), (90, 30)])
def test_warmup_stairs_equal_those_of_openvqa(records, batch):
    """Its WarmupOptimizer counts an update first; each of four epochs adds a quarter."""
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
def test_gradients_are_clipped_by_norm_or_by_value(clip, expected):
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.grad = torch.tensor([[3.0, 4.0]])
    assert clip_gradient(layer, OptimiserConfig(clip=clip, clip_at=0.5)) == pytest.approx(5)
    assert layer.weight.grad[0].tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["adam", "adamw", "adamax"])
def test_optimisers_receive_their_settings(name):
    decay = 0.3 if name == "adamw" else 0.0
    config = OptimiserConfig(name, 0.25, (0.8, 0.9), 1e-7, weight_decay=decay)
    optimiser = make_optimiser(nn.Linear(2, 1), config)
    assert type(optimiser).__name__.lower() == name
    group = optimiser.param_groups[0]
    assert (group["lr"], group["betas"], group["eps"]) == (0.25, (0.8, 0.9), 1e-7)
    assert group["weight_decay"] == decay


@pytest.mark.parametrize("name", ["adam", "adamax", "rmsprop"])
def test_weight_decay_requires_adamw(name):
    with pytest.raises(ValueError, match=f"--optimiser.weight-decay 0.3 .* {name}; choose adamw"):
        OptimiserConfig(name, weight_decay=0.3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.0}, r"--optimiser\.learning-rate 0: must be greater than 0"),
        ({"warmup": 5, "warmup_stairs": -2}, r"--optimiser\.warmup-stairs -2: must be at least 0"),
    ],
)
def test_numbers_that_are_too_small_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        OptimiserConfig(**settings)


@dataclass(frozen=True)
class Run:
    """Settings of a run that can be without effect."""

    optimiser: OptimiserConfig
    minutes: float | None = None
    iterations: int = 10


IDLE = [
    # given, beside what: the flag and the reason
    ({"betas": (0.8, 0.9)}, {"name": "rmsprop"}, "betas 0.8 0.9", "name rmsprop"),
    ({"milestones": (3, 4)}, {"schedule": "cosine"}, "milestones 3 4", "schedule cosine"),
    ({"milestones": (3,)}, {}, "milestones 3", "schedule constant"),
    ({"decay": 0.5}, {"schedule": "noam"}, "decay 0.5", "schedule noam"),
    ({"warmup_start": 0.5}, {}, "warmup-start 0.5", "warmup"),
    ({"warmup_stairs": 3}, {}, "warmup-stairs 3", "warmup"),
    ({"warmup_start": 0.5}, {"schedule": "noam", "warmup": 5}, "warmup-start 0.5", "schedule noam"),
    ({"warmup_stairs": 3}, {"schedule": "noam", "warmup": 5}, "warmup-stairs 3", "schedule noam"),
    ({"warmup_start": 0.5}, {"warmup": 5, "warmup_stairs": 3}, "warmup-start 0.5", "warmup-stairs"),
    ({"clip_at": 5.0}, {"clip": "none"}, "clip-at 5.0", "clip none"),
]


@pytest.mark.parametrize(("given", "beside", "flag", "reason"), IDLE)
def test_settings_of_an_optimiser_without_effect_are_refused(given, beside, flag, reason):
    default = Run(OptimiserConfig(**beside))
    config = Run(OptimiserConfig(**beside, **given))
    with pytest.raises(ValueError, match=rf"^--optimiser\.{flag} has no effect .*{reason}$"):
        check_unused_options(config, idle_training_settings(config), default)
    # What a preset brings may be idle.
    check_unused_options(config, idle_training_settings(config), config)
    assert rates_and_weights(config) == rates_and_weights(default)


def rates_and_weights(config):
    """Return the learning rates of a run, and its weights after clipped updates."""
    rates = [learning_rate(config.optimiser, k, k / 10) for k in range(10)]
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data.fill_(1.0)
    optimiser = make_optimiser(layer, config.optimiser)
    for _ in range(3):
        layer.weight.grad = torch.full((1, 2), 40.0)
        clip_gradient(layer, config.optimiser)
        optimiser.step()
    return rates, layer.weight.tolist()


def test_a_part_can_have_a_separate_learning_rate():
    network = nn.ModuleList([nn.Linear(2, 1), nn.Linear(3, 1)])
    config = OptimiserConfig("rmsprop", 0.5, epsilon=1e-5)
    optimiser = make_optimiser(network, config, network[1], 0.1)
    assert isinstance(optimiser, torch.optim.RMSprop)
    assert {(group["lr"], group["eps"]) for group in optimiser.param_groups} == {(0.5, 1e-5)}
    assert [len(group["params"]) for group in optimiser.param_groups] == [2, 2]
    assert optimiser.param_groups[1]["params"][0] is network[1].weight
    assert optimiser.param_groups[1]["rate_factor"] == pytest.approx(0.2)

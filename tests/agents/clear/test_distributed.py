"""Training of both representations on two ranks, on one machine."""

import dataclasses

import pytest
import torch

from clipnav.agents.clear.training import train
from clipnav.training.checkpoints import load_trainer
from clipnav.training.optimiser_settings import OptimiserConfig
from tests.torchrun import SCRIPTS, run_two_ranks

ADAM = OptimiserConfig(name="adam", learning_rate=1e-3)


@pytest.fixture
def start(launcher, tmp_path):
    """Function that trains for one iteration on two ranks."""

    def start(script, output, **flags):
        flags |= {"iterations": 1, "batch-size": 8, "threads": 1, "world": "matterport"}
        flags |= {"optimiser.name": "adam", "optimiser.learning-rate": 1e-3, "output": output}
        flags |= {"optimiser.schedule": "constant", "optimiser.warmup": 0, "optimiser.clip": "none"}
        words = [
            text for name, value in flags.items() for text in (f"--{name}", str(value)) if text
        ]
        printed = run_two_ranks(launcher, tmp_path, SCRIPTS / f"{script}.py", *words)
        assert printed.count("Run: ") == 1

    return start


def check_same_gradient(one, other):
    """The running mean of the gradient after one update is a multiple of the gradient."""
    states = [load_trainer(run)["optimiser"]["state"] for run in (one, other)]
    assert states[0].keys() == states[1].keys()
    largest = max(state["exp_avg"].abs().max().item() for state in states[0].values())
    for name, state in states[0].items():
        mean = states[1][name]["exp_avg"]
        torch.testing.assert_close(mean, state["exp_avg"], atol=1e-4 * largest, rtol=1e-3)


@pytest.mark.parametrize("symmetric", [True, False])
def test_two_ranks_train_a_language_representation_like_one(
    language_config, start, tmp_path, symmetric
):
    config = dataclasses.replace(
        language_config,
        iterations=1,
        symmetric=symmetric,
        optimiser=ADAM,
        output=tmp_path / "one",
    )
    train(config)
    encoder = config.encoder
    flags = {
        "data-dir": config.data_dir,
        "temperature": config.temperature,
        "max-instruction-length": config.max_instruction_length,
        "encoder.vocabulary-size": encoder.vocabulary_size,
        "encoder.hidden-size": encoder.hidden_size,
        "encoder.layers": encoder.layers,
        "encoder.heads": encoder.heads,
        "encoder.feed-forward-size": encoder.feed_forward_size,
        "encoder.dropout": 0.0,
        "optimiser.weight-decay": 0.0,
    }
    if not symmetric:
        flags = {"no-symmetric": "", **flags}
    start("train_language_representation", tmp_path / "two", **flags)
    check_same_gradient(tmp_path / "one", tmp_path / "two")


def test_two_ranks_train_a_visual_representation_like_one(visual_config, start, tmp_path):
    config = dataclasses.replace(
        visual_config,
        iterations=1,
        optimiser=ADAM,
        input_dropout=0.0,
        hidden_dropout=0.0,
        output=tmp_path / "one",
    )
    train(config)
    flags = {
        "data-dir": config.data_dir,
        "features": config.features,
        "pairs": config.pairs,
        "input-dropout": 0.0,
        "hidden-dropout": 0.0,
    }
    start("train_visual_representation", tmp_path / "two", **flags)
    check_same_gradient(tmp_path / "one", tmp_path / "two")

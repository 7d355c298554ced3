"""Training of a map agent on two ranks, on one machine."""

import dataclasses
import json

import pytest

from clipnav.agents.duet.presets import parse_pretraining
from clipnav.agents.duet.pretraining_learner import pretrain
from clipnav.agents.experiments.training import train
from clipnav.training.checkpoints import RESULTS, load_trainer
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.settings import CONFIG, to_json
from tests.agents.weights import assert_same_first_gradient
from tests.torchrun import SCRIPTS, run_two_ranks


def test_gradient_of_two_ranks_equals_one_process_with_twice_the_batch(
    map_config, launcher, tmp_path
):
    config = dataclasses.replace(
        map_config,
        batch_size=8,
        iterations=1,
        teacher_weight=0.5,
        evaluation_splits=("val_unseen",),
        select_by="val_unseen",
        optimiser=OptimiserConfig(name="adam", learning_rate=1e-4, clip="norm", clip_at=1e9),
        output=tmp_path / "one",
    )
    alone = train(config)
    half = dataclasses.replace(config, batch_size=4, output=None)
    (tmp_path / CONFIG).write_text(to_json(half))
    both = tmp_path / "two"
    arguments = ("--config", tmp_path / CONFIG, "--output", both)
    printed = run_two_ranks(launcher, tmp_path, SCRIPTS / "train_agent.py", *arguments)
    assert_same_first_gradient(tmp_path / "one", both)
    results = json.loads((both / RESULTS).read_text())["results"]
    assert results == json.loads(json.dumps(alone))
    assert printed.count("Run: ") == 1


def updates(run):
    """Return how often Adam has updated each weight of a run, by number."""
    state = load_trainer(run)["optimiser"]["state"]
    return {number: int(weight["step"]) for number, weight in state.items()}


@pytest.fixture
def pretraining(tiny_arguments, launcher, tmp_path):
    """Function that pre-trains with flags in one process and on two ranks; returns both runs."""
    network = {"hidden-size": 16, "heads": 2, "feed-forward-size": 32, "text-layers": 1}
    shared = {
        **{name.replace("_", "-"): value for name, value in tiny_arguments.items()},
        "evaluation-splits": "val_unseen",
        "select-by": "val_unseen",
        "threads": 1,
        **{f"network.{name}": size for name, size in network.items()},
        "network.cross-layers": 1,
        "network.panorama-layers": 1,
    }

    def pretrain_twice(batch_size=4, parts=1, **flags):
        flags = {**shared, **{name.replace("_", "-"): value for name, value in flags.items()}}
        arguments = [str(word) for name, value in flags.items() for word in (f"--{name}", value)]
        alone, both = tmp_path / "alone", tmp_path / "both"
        one = ("--batch-size", batch_size, "--output", alone)
        pretrain(parse_pretraining([*arguments, *map(str, one)]))
        two = ("--batch-size", batch_size // parts, "--output", both)
        printed = run_two_ranks(launcher, tmp_path, SCRIPTS / "pretrain_agent.py", *arguments, *two)
        assert printed.count("Run: ") == 1
        return alone, both

    return pretrain_twice


def test_pretraining_updates_the_same_weights_on_two_ranks_and_on_one(pretraining):
    alone, both = pretraining(iterations=4)
    assert load_trainer(both)["iteration"] == 4
    # Each iteration has one task, which uses a part of the weights.
    assert len(set(updates(alone).values())) > 1
    assert updates(both) == updates(alone)


def test_gradient_of_pretraining_on_two_ranks_equals_one_process_with_twice_the_batch(pretraining):
    # The paths differ in length, so the ranks have different numbers of decisions.
    without_draws = {"network.dropout": 0, "network.feature-dropout": 0, "masked_words": 0}
    assert_same_first_gradient(*pretraining(8, 2, iterations=1, **without_draws))

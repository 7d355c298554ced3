"""Training on two ranks, started by torchrun on one machine."""

import dataclasses
import json

import pytest
import torch

from clipnav.agents.experiments.training import train
from clipnav.agents.settings import BackTranslationConfig, ReinforcementConfig
from clipnav.training import distributed
from clipnav.training.checkpoints import RESULTS
from clipnav.training.optimiser_settings import OptimiserConfig
from tests.agents.weights import assert_same_first_gradient
from tests.torchrun import SCRIPTS, torchrun


def flags_of_two_ranks(config, output, speaker_run):
    """Return the flags with which two ranks train like one process with `config`."""
    return {
        "world": "matterport",
        "data-dir": config.data_dir,
        "features": config.features,
        "angle-feature-size": 4,
        "max-episode-steps": 6,
        "batch-size": 4,
        "iterations": 1,
        "evaluation-splits": "val_unseen",
        "select-by": "val_unseen",
        "imitation-weight": 1.0,
        "bucket": config.bucket,
        "seed": 0,
        "threads": 1,
        "output": output,
        "reinforcement.weight": 1.0,
        "back-translation.speaker": speaker_run,
        "back-translation.paths": 40,
        "follower.embedding-size": 16,
        "follower.hidden-size": 32,
        "follower.action-size": 4,
        "follower.dropout": 0.0,
        "follower.feature-dropout": 0.0,
        "optimiser.name": "adam",
        "optimiser.clip": "norm",
        "optimiser.clip-at": 1e9,
    }


def test_gradient_of_two_ranks_equals_one_process_with_twice_the_batch(
    doors_config, speaker_run, tmp_path
):
    config = dataclasses.replace(
        doors_config,
        batch_size=8,
        iterations=1,
        evaluation_splits=("val_unseen",),
        select_by="val_unseen",
        follower=dataclasses.replace(doors_config.follower, dropout=0.0),
        optimiser=OptimiserConfig(name="adam", learning_rate=1e-4, clip="norm", clip_at=1e9),
        reinforcement=ReinforcementConfig(weight=1.0),
        back_translation=BackTranslationConfig(speaker=speaker_run, paths=40),
        output=tmp_path / "one",
    )
    alone = train(config)
    both = tmp_path / "two"
    flags = flags_of_two_ranks(config, both, speaker_run)
    arguments = [text for name, value in flags.items() for text in (f"--{name}", str(value))]
    printed = torchrun(SCRIPTS / "train_agent.py", *arguments)
    assert_same_first_gradient(tmp_path / "one", both, least=1)

    # Each episode was evaluated by one of the two ranks, and only rank 0 prints and writes.
    results = json.loads((both / RESULTS).read_text())["results"]
    assert results == json.loads(json.dumps(alone))
    assert results["val_unseen"]["follower"]["episodes"] == 24
    assert printed.count("Run: ") == 1
    assert len(list(tmp_path.glob("two*"))) == 1


def test_each_rank_has_its_own_gpu(monkeypatch):
    taken = []
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setattr(torch.distributed, "init_process_group", taken.append)
    distributed.join("cuda")
    assert taken == [1, "nccl"]
    with pytest.raises(ValueError, match="--device cuda:1: each process of torchrun"):
        distributed.join("cuda:1")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ValueError, match="local rank 2 has no GPU, as this machine has 2"):
        distributed.join("cuda")

"""What the learners of all trainings promise, each over a tiny instance."""

import dataclasses
import json
import os
import signal
from functools import partial
from typing import Any

import pytest
import torch

from clipnav.agents.acting.evaluation import evaluate, evaluate_walks
from clipnav.agents.acting.rollout import walk
from clipnav.agents.clear.training import make_trainer as make_representation_trainer
from clipnav.agents.continuous.training import continuous_trainer
from clipnav.agents.duet.pretraining_learner import MapPretrainingLearner
from clipnav.agents.duet.settings import MapPretrainConfig
from clipnav.agents.envdrop.speaker_training import SpeakerLearner
from clipnav.agents.experiments.runs import load_walkers
from clipnav.agents.experiments.training import train
from clipnav.agents.layers.visual import FeatureScale
from clipnav.agents.learning.agent_learner import make_agent_trainer
from clipnav.agents.settings import (
    BackTranslationConfig,
    ClearConfig,
    EvaluateConfig,
    ReinforcementConfig,
    TextConfig,
    read_agent_config,
)
from clipnav.agents.specs import agent_spec
from clipnav.agents.transformer.layers import FeatureInput
from clipnav.agents.vlm_finetuning.learner import vlm_trainer
from clipnav.agents.waypoints.predictor_training import predictor_trainer
from clipnav.training import distributed
from clipnav.training.checkpoints import MODEL, RESULTS, load_trainer
from clipnav.training.interruption import Stopped
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.settings import CONFIG, to_json
from tests.agents.continuous.conftest import box_world, tiny_config, tiny_network
from tests.agents.duet.conftest import map_config
from tests.agents.duet.conftest import short_config as short_map_config
from tests.agents.etpnav.conftest import ghost_config, ghost_world
from tests.agents.frontier.conftest import frontier_config
from tests.agents.frontier.conftest import short_config as short_frontier_config
from tests.agents.hamt.conftest import history_config
from tests.agents.hamt.conftest import short_config as short_history_config
from tests.agents.vlm_finetuning.conftest import finetuning, llava, messages, pictured
from tests.agents.waypoints.conftest import predictor_config, waypoint_world
from tests.agents.weights import assert_same_first_gradient
from tests.kills.commands import COMMAND
from tests.torchrun import run_two_ranks, torchrun

__all__ = [  # fixtures
    "box_world",
    "finetuning",
    "frontier_config",
    "ghost_config",
    "ghost_world",
    "history_config",
    "llava",
    "map_config",
    "messages",
    "pictured",
    "predictor_config",
    "short_frontier_config",
    "short_history_config",
    "short_map_config",
    "tiny_config",
    "tiny_network",
    "waypoint_world",
]

A2C = ReinforcementConfig(weight=0.5)


def agent_trainer(config: Any) -> Any:
    return make_agent_trainer(agent_spec(config.agent).part("learner"), config)


# Fixture with the settings, and the function that makes a trainer of them.
LEARNERS: dict[str, Any] = {
    "follower": agent_trainer,
    "translated_follower": agent_trainer,
    "model_follower": agent_trainer,
    "represented_follower": agent_trainer,
    "speaker": partial(make_agent_trainer, SpeakerLearner),
    "grounding_follower": agent_trainer,
    "frontier": agent_trainer,
    "grounding_frontier": agent_trainer,
    "map_agent": agent_trainer,
    "represented_map_agent": agent_trainer,
    "grounding_map_agent": agent_trainer,
    "map_pretraining": partial(make_agent_trainer, MapPretrainingLearner),
    "grounding_pretraining": partial(make_agent_trainer, MapPretrainingLearner),
    "hamt": agent_trainer,
    "etpnav": agent_trainer,
    "continuous": continuous_trainer,
    "language": make_representation_trainer,
    "visual": make_representation_trainer,
    "vlm": vlm_trainer,
    "waypoints": predictor_trainer,
}
AGENTS = (
    *("follower", "grounding_follower", "frontier", "grounding_frontier"),
    *("map_agent", "grounding_map_agent", "hamt"),
)
BLANK = {"vision": False, "instruction_ablation": "empty"}


@pytest.fixture
def follower(small_config):
    return dataclasses.replace(small_config, reinforcement=A2C)


@pytest.fixture
def translated_follower(follower, speaker_run):
    translation = BackTranslationConfig(speaker=speaker_run, paths=40)
    return dataclasses.replace(follower, back_translation=translation)


@pytest.fixture
def model_follower(small_config, tiny_bert):
    """A follower that reads the standardised states of a transformer, which it tunes."""
    text = TextConfig(tokens="pretrained", model=str(tiny_bert), tune=True, learning_rate=1e-3)
    reader = dataclasses.replace(small_config.follower, read_states=True)
    return dataclasses.replace(small_config, text=text, follower=reader)


@pytest.fixture
def represented_follower(follower, language_run, visual_run):
    """A follower that reads both representations of CLEAR and tunes them."""
    return dataclasses.replace(
        follower,
        dataset="rxr",
        max_instruction_length=24,
        language_representation=language_run,
        visual_representation=visual_run,
        clear=ClearConfig(tune_language=True, tune_visual=True, contrastive_weight=0.2),
    )


@pytest.fixture
def speaker(speaker_config):
    return dataclasses.replace(
        speaker_config, batch_size=8, evaluation_splits=("val_unseen",), select_by="val_unseen"
    )


@pytest.fixture
def frontier(short_frontier_config):
    return dataclasses.replace(short_frontier_config, reinforcement=A2C)


@pytest.fixture
def map_agent(short_map_config):
    return dataclasses.replace(short_map_config, reinforcement=A2C)


@pytest.fixture
def represented_map_agent(map_agent, language_run, visual_run):
    """A map agent that reads both representations of CLEAR and keeps them as they are."""
    network = dataclasses.replace(map_agent.network, text_layers=9, standardise=False)
    return dataclasses.replace(
        map_agent,
        dataset="rxr",
        max_instruction_length=24,
        language_representation=language_run,
        visual_representation=visual_run,
        network=network,
    )


@pytest.fixture
def map_pretraining(short_map_config, doors_run, speaker_run):
    names = "network", "optimiser", "max_decisions", "evaluation_splits", "select_by"
    return MapPretrainConfig(
        **{**doors_run, "batch_size": 6, "max_episode_steps": 30},
        **{name: getattr(short_map_config, name) for name in names},
        masked_words=0.5,
        speaker=speaker_run,
        paths=20,
    )


@pytest.fixture
def grounding_follower(follower, vases):
    return dataclasses.replace(follower, dataset="reverie")


@pytest.fixture
def grounding_frontier(frontier, vases):
    return dataclasses.replace(frontier, dataset="reverie")


@pytest.fixture
def grounding_map_agent(map_agent, vases):
    """A map agent that points out objects, of which training shows some."""
    goals = {"dataset": "reverie", "drawn_paths": "ends", "max_objects": 4}
    return dataclasses.replace(map_agent, **goals, instructions_per_path=1)


@pytest.fixture
def grounding_pretraining(map_pretraining, vases):
    goals = {"dataset": "reverie", "drawn_paths": "ends", "max_objects": 4}
    return dataclasses.replace(map_pretraining, **goals, objects=1.0, speaker=None)


@pytest.fixture
def hamt(short_history_config):
    return short_history_config


@pytest.fixture
def etpnav(ghost_config, ghost_world):
    return ghost_config


@pytest.fixture
def continuous(tiny_config, box_world):
    """Settings of two rounds of DAgger."""
    return dataclasses.replace(tiny_config, rounds=2)


@pytest.fixture
def language(language_config):
    encoder = dataclasses.replace(language_config.encoder, dropout=0.2)
    return dataclasses.replace(language_config, encoder=encoder)


@pytest.fixture
def visual(visual_config):
    return visual_config


@pytest.fixture
def vlm(finetuning):
    return finetuning


@pytest.fixture
def waypoints(predictor_config, waypoint_world):
    return predictor_config


@pytest.fixture
def make(request):
    """Function from an output, or a run to resume, to a trainer and its learner."""
    settings = request.getfixturevalue(request.param)
    settings = dataclasses.replace(settings, iterations=2, evaluate_every=2)

    def make(output=None, **changes):
        config = dataclasses.replace(settings, output=output, **changes)
        return LEARNERS[request.param](config)

    return make


def interrupt(trainer, iteration):
    """Send an interrupt to this process within an iteration of a trainer."""
    step = trainer.step

    def step_and_interrupt():
        if trainer.iteration == iteration:
            os.kill(os.getpid(), signal.SIGINT)
        return step()

    trainer.step = step_and_interrupt


@pytest.mark.parametrize("make", LEARNERS, indirect=True)
def test_a_resumed_run_is_bit_identical(make, tmp_path, check_same_run, monkeypatch):
    whole, _ = make(tmp_path / "whole")
    whole.train()
    whole.close()
    parts, _ = make(tmp_path / "parts")
    interrupt(parts, 0)
    with pytest.raises(Stopped, match=f"--resume {tmp_path / 'parts'}"):
        parts.train()
    # A round of DAgger gives up the iteration in which it collects demonstrations.
    assert load_trainer(tmp_path / "parts")["iteration"] in (0, 1)
    assert (tmp_path / "parts" / MODEL).is_file()
    # The trainer restores the scales, so they are not fitted again.
    monkeypatch.setattr(FeatureScale, "fit", None)
    monkeypatch.setattr(FeatureInput, "fit", None)
    resumed, _ = make(resume=tmp_path / "parts")
    resumed.train()
    resumed.close()
    check_same_run(whole, resumed)
    states = [load_trainer(trainer.run)["optimiser"]["state"][0] for trainer in (whole, resumed)]
    for name, moment in states[0].items():
        assert torch.equal(moment, states[1][name]), name


@pytest.mark.parametrize("make", LEARNERS, indirect=True)
def test_the_seed_determines_the_weights_and_saved_ones_are_loaded(make, tmp_path):
    weights = []
    for name, seed in (("first", 0), ("other", 1)):
        trainer, learner = make(tmp_path / name, seed=seed)
        trainer._iterate()
        trainer.close()
        learner.save_model(tmp_path / name, 1)
        weights.append({n: w.clone() for n, w in learner.network.state_dict().items()})
    assert any(not torch.equal(weight, weights[1][name]) for name, weight in weights[0].items())
    learner.load_model(tmp_path / "first")
    saved = getattr(learner, "saved", learner.network)
    prefix = next(
        (f"{n}." for n, part in learner.network.named_modules() if part is saved and n), ""
    )
    for name, weight in saved.state_dict().items():
        assert torch.equal(weight, weights[0][prefix + name]), name


def without_dropout(settings):
    """Return settings whose rates of dropout are 0, as are those of their parts."""
    values = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    parts = {n: without_dropout(v) for n, v in values.items() if dataclasses.is_dataclass(v)}
    rates = {n: 0.0 for n, v in values.items() if n.endswith("dropout") and isinstance(v, float)}
    return dataclasses.replace(settings, **parts, **rates)


@pytest.mark.parametrize(
    ("learner", "command", "share"),
    [
        pytest.param("translated_follower", "train-agent", 2, marks=pytest.mark.long),  # torchrun
        ("follower", "train-agent", 2),
        ("speaker", "train-speaker", 2),
        pytest.param("grounding_follower", "train-agent", 2, marks=pytest.mark.long),
        ("frontier", "train-agent", 2),
        pytest.param("grounding_frontier", "train-agent", 2, marks=pytest.mark.long),
        ("map_agent", "train-agent", 2),
        pytest.param("grounding_map_agent", "train-agent", 2, marks=pytest.mark.long),
        ("map_pretraining", "pretrain-agent", 2),
        ("hamt", "train-agent", 2),
        ("language", "train-language-representation", 1),
        ("visual", "train-visual-representation", 1),
    ],
)
def test_two_ranks_train_like_one_process(learner, command, share, request, launcher, tmp_path):
    optimiser = OptimiserConfig(name="adam", learning_rate=1e-4, clip="norm", clip_at=1e9)
    config = dataclasses.replace(
        without_dropout(request.getfixturevalue(learner)),
        batch_size=8,
        iterations=1,
        optimiser=optimiser,
        output=tmp_path / "one",
    )
    if learner == "map_pretraining":
        config = dataclasses.replace(config, masked_words=0.0, speaker=None)
    LEARNERS[learner](config)[0].train()
    # Representations are compared across the whole batch, which the ranks divide.
    half = dataclasses.replace(config, batch_size=8 // share, output=None)
    (tmp_path / CONFIG).write_text(to_json(half))
    arguments = COMMAND, command, "--config", tmp_path / CONFIG
    arguments = (*arguments, "--output", tmp_path / "two")
    if learner == "translated_follower":
        printed = torchrun(*arguments)
    else:
        printed = run_two_ranks(launcher, tmp_path, *arguments)
    assert printed.count("Run: ") == 1, "only rank 0 prints"
    assert_same_first_gradient(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize(
    ("agent", "missing", "changes"),
    [
        *((agent, "", {}) for agent in AGENTS),
        ("follower", " (no vision)", {"vision": False}),
        ("follower", " (empty instructions)", {"instruction_ablation": "empty"}),
        ("follower", " (shuffled instructions)", {"instruction_ablation": "shuffled"}),
        *(
            (agent, " (no vision, empty instructions)", BLANK)
            for agent in ("frontier", "map_agent", "hamt")
        ),
    ],
)
def test_a_loaded_agent_walks_as_evaluated(agent, missing, changes, request):
    config = dataclasses.replace(request.getfixturevalue(agent), iterations=2, **changes)
    results = train(config)
    assert json.loads((config.output / RESULTS).read_text())["results"] == results
    assert read_agent_config(config.output) == dataclasses.replace(config, resume=None)
    name = agent_spec(config.agent).label + missing
    _, env, walkers = load_walkers(EvaluateConfig(config.output), "val_unseen")
    assert next(iter(walkers)) == next(iter(results["val_unseen"])) == name
    evaluation = evaluate(env, walkers[name])
    assert evaluation.summary() == results["val_unseen"][name]
    stepwise = evaluate_walks(env, lambda place, ids: walk(place, walkers[name], ids))
    assert evaluation.trajectories == stepwise.trajectories


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

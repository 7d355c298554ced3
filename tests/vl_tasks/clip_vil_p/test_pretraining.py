"""Training of the network: exact resume, accumulation, precision, and what is learnt."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from clipnav.training.checkpoints import RESULTS, load_trainer
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.streams import Stream, rank_iteration_seed
from clipnav.training.trainer import Trainer
from clipnav.vl_tasks.clip_vil_p.building import load_run
from clipnav.vl_tasks.clip_vil_p.data.pair_batches import Batch
from clipnav.vl_tasks.clip_vil_p.optimisers import JointOptimiser
from clipnav.vl_tasks.clip_vil_p.pretraining import PretrainingTask
from clipnav.vl_tasks.settings.networks import TrunkOptimiserConfig
from clipnav.vl_tasks.training import train
from tests.vl_tasks.clip_vil_p.conftest import write_pair_folder


def make_trainer(config, learner=None):
    torch.manual_seed(config.seed)
    learner = learner or PretrainingTask(config)
    return Trainer(
        config, learner, lambda k: rank_iteration_seed(config.seed, Stream.PAIR_NOISE, k, 0)
    )


def test_held_out_sentences_are_not_exchanged_in_training(tiny, pair_folder, tmp_path, monkeypatch):
    names = [f"shape_{number}" for number in range(1, 49)]
    records = [{"img_id": one, "sentf": {"a": [f"about {one}"]}} for one in names]
    (tmp_path / "own_train.json").write_text(json.dumps(records))
    config = dataclasses.replace(
        tiny,
        data=str(tmp_path),
        images=pair_folder / "images",
        select_by="held-out",
        evaluation_splits=("held-out",),
        exchanged=1.0,
        answering=False,
    )
    learner = PretrainingTask(config)
    makers = []
    monkeypatch.setattr(
        "clipnav.vl_tasks.clip_vil_p.pretraining.load_batches",
        lambda make, *_: makers.append(make.__self__),
    )
    with pytest.raises(TypeError):
        learner.backward(0)
    rng, index = np.random.default_rng(0), learner.splits.training.index
    chosen = learner.splits.training.chosen
    assert chosen is not None
    learnt = {index[int(k)].text for k in chosen}
    drawn = {makers[0]._other_sentence(index[0], rng).text for _ in range(900)}
    assert drawn == learnt - {index[0].text}
    assert len(learnt) < len(names)


def test_accumulated_batches_have_the_gradient_of_one(tiny, monkeypatch):
    """With the same pairs, dropout off and statistics frozen."""
    text = dataclasses.replace(tiny.text, dropout=0.0)
    trunk = dataclasses.replace(tiny.trunk, frozen_norms=True)
    still = dataclasses.replace(tiny, text=text, trunk=trunk, cells=None)
    gradients, whole = [], None
    for accumulate, size in ((1, 8), (2, 4)):
        torch.manual_seed(0)
        config = dataclasses.replace(still, accumulate=accumulate, batch_size=size)
        learner = PretrainingTask(config)
        learner.network.train()
        if whole is not None:
            batches = iter([rows_of(whole, slice(0, 4)), rows_of(whole, slice(4, 8))])
        else:
            whole = learner._batch(0)
            batches = iter([whole])
        monkeypatch.setattr(learner, "_batch", lambda _, batches=batches: next(batches))
        figures = learner.backward(0)
        gradients.append({n: w.grad for n, w in learner.network.named_parameters()})
        gradients[-1]["loss"] = torch.tensor(figures["loss"])
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-6, rtol=1e-4)


def rows_of(batch, rows):
    pictures, *others = batch
    shared = torch.arange(len(pictures.pixels)) if pictures.rows is None else pictures.rows
    return Batch(pictures._replace(rows=shared[rows]), *(x[rows] for x in others))


def test_trunk_and_transformer_have_their_own_optimisers(tiny):
    trainer = make_trainer(tiny)
    before = {n: w.clone() for n, w in trainer.learner.network.named_parameters()}
    figures = [trainer.step() for _ in range(4)]
    trainer.close()
    assert [one["trunk_learning_rate"] for one in figures] == pytest.approx([0.01] * 3 + [0.001])
    optimiser = trainer.learner.optimiser
    assert isinstance(optimiser._trunk, torch.optim.SGD)
    assert isinstance(optimiser._main, torch.optim.AdamW)
    covered = [w for part in (optimiser._main, optimiser._trunk) for g in part.param_groups
               for w in g["params"]]  # fmt: skip
    assert len(covered) == len(set(covered)) == len(before)
    decays = {id(w): g["weight_decay"] for g in optimiser._main.param_groups for w in g["params"]}
    for name, weight in trainer.learner.network.named_parameters():
        if not name.startswith("trunk."):
            assert decays[id(weight)] == (0.01 if weight.ndim > 1 else 0.0), name
    unused = {"stream.bert.embeddings.token_type_embeddings.weight"}
    moved = {n for n, w in trainer.learner.network.named_parameters() if not w.equal(before[n])}
    assert before.keys() - moved <= unused


def test_adamw_of_the_trunk_is_that_of_the_original(tiny):
    trunk = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3))
    network = torch.nn.ModuleDict({"trunk": trunk, "rest": torch.nn.Linear(2, 2)})
    config = dataclasses.replace(tiny.optimiser, learning_rate=0.1, epsilon=1e-6)
    adamw = TrunkOptimiserConfig(0.1, weight_decay=0.5, name="adamw")
    optimiser = JointOptimiser(network, trunk, config, adamw, "fp32")
    before = {name: weight.clone() for name, weight in trunk.named_parameters()}
    for weight in network.parameters():
        weight.grad = torch.full_like(weight, 1e-6)
    optimiser.step()
    for name, weight in trunk.named_parameters():
        # The first update divides the gradient by its absolute value plus epsilon.
        decay = 0.0 if "bias" in name else 0.5
        expected = before[name] * (1 - 0.1 * decay) - 0.1 * 1e-6 / (1e-6 + 1e-6)
        torch.testing.assert_close(weight.detach(), expected, msg=name)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_trains_float32_weights(tiny, precision):
    trainer = make_trainer(dataclasses.replace(tiny, precision=precision))
    figures = [trainer.step()]
    trainer.close()
    assert all(weight.dtype == torch.float32 for weight in trainer.learner.network.parameters())
    assert figures[0]["loss"] > 0
    exact = make_trainer(tiny)
    assert figures[0]["loss"] == pytest.approx(exact.step()["loss"], rel=0.02)
    exact.close()


def test_a_float16_overflow_skips_the_update_and_lowers_the_scale(tiny):
    trainer = make_trainer(dataclasses.replace(tiny, precision="fp16"))
    scale = trainer.learner.optimiser.scale
    scale.factor = 2.0**60
    before = {n: w.clone() for n, w in trainer.learner.network.named_parameters()}
    figures = trainer.step()
    trainer.close()
    assert figures["skipped"] == 1
    assert scale.factor == 2.0**59
    assert all(w.equal(before[n]) for n, w in trainer.learner.network.named_parameters())


def test_training_learns_words_and_answers_and_is_loaded_again(tiny, tmp_path):
    # Of 12 images, the evaluation would have only some 13 questions with their own image.
    data = write_pair_folder(tmp_path / "few", {"train": 12, "val": 60})
    text = dataclasses.replace(
        tiny.text, hidden_size=64, feed_forward_size=128, layers=2, dropout=0.0
    )
    config = dataclasses.replace(
        tiny,
        data=str(data),
        iterations=300,
        evaluate_every=300,
        accumulate=1,
        batch_size=32,
        pairs_per_image=4,
        cells=None,
        text=text,
        trunk=dataclasses.replace(tiny.trunk, frozen_norms=True),
        trunk_optimiser=TrunkOptimiserConfig(0.01),
        optimiser=OptimiserConfig("adamw", 2e-3, schedule="linear", warmup=20, clip="norm"),
    )
    train(config)
    results = json.loads((config.output / RESULTS).read_text())["results"]["val"]
    assert results["answers_accuracy"] > 0.55  # 0.4 without the image
    assert results["words_accuracy"] > 0.4
    _, network, pieces, answers = load_run(config.output)
    assert set(answers.answers) == {"red", "green", "blue", "circle", "square"}
    saved = load_trainer(config.output)["weights"]
    assert network.state_dict().keys() == saved.keys()
    assert pieces.size <= 120

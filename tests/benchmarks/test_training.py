import tempfile
from pathlib import Path

import pytest
import torch

from clipnav.agents.layers.recurrent import BidirectionalLSTM
from tests.benchmarks.loading import load


def test_an_episode_mask_drops_the_same_visual_features_in_all_views():
    decoder = load("plain_envdrop")["Decoder"](50, 4, 8)
    views = torch.ones(2, 36, 54)
    decoder.mask = decoder.drop_features(torch.ones(2, 1, 50))
    decoder.drop_visual(views)
    assert torch.equal(views[:, :, :50], decoder.mask.expand(2, 36, 50))
    assert views[:, :, 50:].eq(1).all()
    decoder.mask, other = None, torch.ones(2, 36, 54)
    decoder.drop_visual(other)
    assert not torch.equal(other[:, 0], other[:, 1])


def test_followers_are_trained_before_they_are_measured_and_not_after():
    class Learner:
        network = torch.nn.Linear(2, 1)
        optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
        clipped = (network,)

        def backward(self, _):
            self.network(torch.ones(1, 2)).sum().backward()

    def weights():
        return Learner.network.weight.detach().clone()

    before = weights()
    iterate = load("training_runs")["weight_updates"](Learner(), trained=2)
    trained = weights()
    torch.testing.assert_close(trained, before - 0.2)
    iterate()
    assert torch.equal(weights(), trained)


def test_evaluations_of_both_implementations_have_batches_of_one_size(monkeypatch):
    benchmark = load("training")
    config = benchmark["TrainingConfig"](seconds=0.01)
    evaluation, sizes = benchmark["_evaluation"], []

    def middle(env, count):
        sizes.append((env.num_envs, count))
        raise InterruptedError

    monkeypatch.setitem(evaluation.__globals__, "_middle_episodes", middle)
    with tempfile.TemporaryDirectory() as folder:
        run = benchmark["random_run"](None, 0, Path(folder, "features.safetensors"))
        for evaluate in (evaluation, benchmark["_plain_evaluation"]):
            with pytest.raises(InterruptedError):
                evaluate(run, 4, config)
    assert sizes == [(4, 4), (4, 4)]


def test_both_implementations_are_measured_with_both_settings(figures_of):
    figures = figures_of("training")
    settings = ("published setting", "default setting")
    works = [f"iteration, batch {size}, {setting}" for size in (4, 2) for setting in settings]
    for work in works:
        bound = figures[f"{work}: bound"]["value"]
        multiple = figures[f"{work}: multiple of the bound"]["value"]
        assert multiple == pytest.approx(figures[work]["value"] / bound)
    works += ["decoder call of 4 in evaluation", "instructions evaluated"]
    for work in works:
        for implementation in ("", ", baseline"):
            assert figures[work + implementation]["value"] > 0
    assert figures["peak memory of training, published setting"]["bar"] == 1000


def test_a_single_setting_is_measured_alone(figures_of):
    figures = figures_of("training", "--setting", "default")
    assert not any("published" in name for name in figures)
    assert "iteration, batch 4, default setting, baseline" in figures


def test_operations_of_lstms_and_products_are_counted_without_padding():
    count = load("arithmetic")["floating_point_operations"]
    network = BidirectionalLSTM(5, 8)
    mask = torch.arange(6) < torch.tensor([[6], [2]])
    sequence = torch.randn(2, 6, 5) * mask.unsqueeze(2)

    def work():
        outputs, _ = network(sequence, mask)
        (outputs @ torch.ones(8, 3)).sum().backward()

    # 8 elements, 4 gates of width 4 in each direction, from 5 + 1 inputs and 4 hidden numbers.
    lstm = 3 * 2 * 8 * 2 * 16 * (6 + 4)
    # The product reads padding, and has a gradient for one of its factors.
    product = 2 * 2 * 12 * 8 * 3
    assert count(network, work) == lstm + product

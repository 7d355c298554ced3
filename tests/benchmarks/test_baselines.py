"""What benchmarks compare with, and how they measure."""

import math
import runpy
import sys
from typing import Any

import pytest
import torch

from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.agents.layers.recurrent import BidirectionalLSTM
from clipnav.storage.errors import UserError
from clipnav.vl_tasks.clip_vil_p.networks.network import total_loss
from tests.launching import ROOT


def load(name: str) -> dict[str, Any]:
    """Run a benchmark's module and return its names."""
    path = list(sys.path)
    sys.path.append(str(ROOT / "benchmarks"))
    try:
        return runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py"))
    finally:
        sys.path[:] = path


@pytest.mark.parametrize(
    ("files", "data_dir", "message"),
    [
        ((), "data", "there is no r2r_src/agent.py; pass a clone of https://github.com/airsplay"),
        (("r2r_src/agent.py",), None, "--original needs R2R and its graphs; pass --data-dir"),
    ],
)
def test_a_comparison_that_lacks_files_is_refused(files, data_dir, message, tmp_path):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    run = TrainConfig(data_dir=None if data_dir is None else tmp_path / data_dir)
    with pytest.raises(UserError, match=message):
        load("original_envdrop")["EnvDrop"](tmp_path, run, None, tmp_path / "place")
    assert not (tmp_path / "place").exists()


def test_the_baseline_computes_the_loss_of_our_network(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "benchmarks")])
    import vl_pretraining as benchmark

    sizes = benchmark.SMALL._replace(cells=None)
    torch.manual_seed(0)
    ours = benchmark.our_network(sizes, dropout=0.0).eval()
    plain = benchmark.plain_network(ours, sizes).eval()
    batch = benchmark.random_batch(sizes, 4, 0)
    loss = total_loss(ours(batch), batch.counts())
    torch.testing.assert_close(loss, plain(batch, benchmark.LENGTH), atol=1e-5, rtol=1e-5)


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


def test_the_peak_memory_is_in_mib_or_unknown(monkeypatch):
    peak_memory = load("measuring")["peak_memory"]
    on_linux = peak_memory()
    assert on_linux > 1
    monkeypatch.setattr(sys, "platform", "darwin")  # there in bytes instead of KiB
    assert math.isclose(peak_memory() * 1024, on_linux, rel_tol=0.5)
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert math.isnan(peak_memory())

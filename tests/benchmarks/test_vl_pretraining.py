import sys

import pytest
import torch

from clipnav.vl_tasks.clip_vil_p.networks.network import total_loss
from tests.conftest import ROOT


def test_pretraining_reports_all_figures(figures_of):
    figures = figures_of("vl_pretraining")
    for name in ("fp32", "medium", "bf16"):
        for work in (f"step, {name}", f"step, baseline beside {name}", f"memory, {name}"):
            assert figures[work]["value"] > 0
    assert figures["fp32 / baseline"]["bar"] == pytest.approx(2 / 3)


def test_the_baseline_computes_the_loss_of_our_network(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "benchmarks")])
    import vl_pretraining as benchmark

    sizes = benchmark.SMALL._replace(cells=None)
    torch.manual_seed(0)
    ours = benchmark.our_network(sizes, dropout=0.0).eval()
    plain = benchmark.plain_network(sizes, dropout=0.0).eval()
    weights = sys.modules["plain_clip_vil_p"].shared_weights(plain)
    assert ours.state_dict().keys() == weights.keys()
    ours.load_state_dict(weights)
    batch = benchmark.random_batch(sizes, 4, 0)
    loss = total_loss(ours(batch), batch.counts())
    torch.testing.assert_close(loss, plain(batch, benchmark.LENGTH), atol=1e-5, rtol=1e-5)

"""The plain implementations that benchmarks compare with compute the same as ours."""

import math
import runpy
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from clipnav.agents.envdrop.path_recording import record_paths
from clipnav.agents.envdrop.speaker import END, Speaker
from clipnav.agents.layers.recurrent import BidirectionalLSTM
from clipnav.agents.settings import SpeakerConfig
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.observations import FeatureObserver
from clipnav.envs.navigation.vln_env import make_vln_vector_env
from clipnav.vl_tasks.clip_vil_p.networks.network import total_loss
from tests.launching import ROOT

LONGEST = 12


def load(name: str) -> dict[str, Any]:
    """Run a benchmark's module and return its names."""
    path = list(sys.path)
    sys.path.append(str(ROOT / "benchmarks"))
    try:
        return runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py"))
    finally:
        sys.path[:] = path


def test_the_baseline_observes_the_same_features(tiny_arguments):
    env = make_vln_vector_env(1, **tiny_arguments)
    world, plain = env.nav_world, load("plain_environment")["PlainEnvironment"](env, 0)
    observer = FeatureObserver(world, env.feature_store, env.angle_feature_size, 5)
    spaces = observer.space().items()
    expected = {name: np.empty((5, *space.shape), space.dtype) for name, space in spaces}
    seen, moves = plain.reset(5), 0
    for _ in range(40):
        places = plain.observations
        nodes = np.array([world.node(place["scan"], place["viewpoint"]) for place in places])
        observer.observe(nodes, np.array([place["viewIndex"] for place in places]), expected)
        np.testing.assert_array_equal(seen["panorama"], expected["panorama"])
        width = seen["candidates"].shape[1] - 1
        candidates = expected["candidates"][:, 1 : width + 1]
        np.testing.assert_allclose(seen["candidates"][:, :width], candidates, atol=1e-5)
        assert not seen["candidates"][:, width].any()
        before, goals = places, [episode.path[-1] for episode in plain.episodes]
        seen = plain.step()
        for agent, place in enumerate(before):
            reached = place["viewpoint"] == goals[agent]
            assert plain.ended[agent] <= reached, "agents stop at the goal"
            moves += plain.observations[agent]["viewpoint"] != place["viewpoint"]
        assert set(seen["rewards"]) <= {0.0, 1.0, 2.0}, "the teacher comes nearer, and stops there"
    assert moves > 40


@pytest.fixture(scope="module")
def env():
    return make_vln_vector_env(3, autoreset_mode="Disabled", observe="indices")


@pytest.fixture
def episodes(env):
    """Three paths of the same length: the baseline's encoding of shorter ones reads padding."""
    length = len(env.episodes[0].path)
    chosen = [e for e in env.episodes if len(e.path) == length and e.instr_id.endswith("_0")]
    return [episode.instr_id for episode in chosen[:3]]


@pytest.fixture
def pair(env):
    """Speaker without dropout, and the baseline with the same weights."""
    torch.manual_seed(0)
    visual, angle = env.feature_store.width, env.angle_feature_size
    config = SpeakerConfig(hidden_size=32, dropout=0.0, feature_dropout=0.0, standardise=False)
    ours = Speaker(len(env.tokenizer), visual, angle, 1, config).eval()
    names = load("plain_envdrop")
    plain = names["PlainSpeaker"](names["PlainAgent"](env, 32), 32)
    copy(ours, plain)
    for part in (*plain.encoder.modules(), *plain.decoder.modules()):
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return ours, plain


@torch.no_grad()
def copy(ours, plain):
    """Copy weights; the biases of the baseline's LSTMs over paths are weights of an input."""
    encoder, decoder = plain.encoder, plain.decoder
    for name in ("moves", "sights"):
        target, source = getattr(encoder, name), getattr(ours.encoder, name)
        for suffix, direction in (("", source.forwards), ("_reverse", source.backwards)):
            inputs = direction.weight_ih_l0
            getattr(target, f"weight_ih_l0{suffix}").copy_(inputs[:, :-1])
            getattr(target, f"bias_ih_l0{suffix}").copy_(inputs[:, -1])
            getattr(target, f"bias_hh_l0{suffix}").zero_()
            getattr(target, f"weight_hh_l0{suffix}").copy_(direction.weight_hh_l0)
    for target, source in (
        (encoder.views, ours.encoder.views),
        (decoder.path, ours.decoder.path),
    ):
        target.query.weight.copy_(source.attention.query.weight)
        target.mix.weight.copy_(source.mix.weight)
    for name in ("embedding", "read", "word"):
        getattr(decoder, name).load_state_dict(getattr(ours.decoder, name).state_dict())


def test_both_speakers_generate_the_same_instructions(pair, env, episodes):
    ours, plain = pair
    load("speaking")["never_end"](ours.decoder.word)
    ours.decoder.word.bias.data[END] = 0.5  # some instructions end early
    copy(ours, plain)
    with torch.no_grad():
        paths = record_paths(env, DeviceFeatures(env, "cpu"), episodes)
        context = ours.encode(paths.views)
        expected = ours.generate(context, torch.zeros(3, dtype=torch.long), LONGEST)
    generated = plain.generate(episodes, torch.ones(env.feature_store.width), LONGEST)
    np.testing.assert_array_equal(generated, expected)


def test_both_speakers_have_the_same_loss(pair, env, episodes):
    ours, plain = pair
    with torch.no_grad():
        paths = record_paths(env, DeviceFeatures(env, "cpu"), episodes)
        tokens, languages = torch.from_numpy(paths.tokens), torch.zeros(3, dtype=torch.long)
        log_probs = ours.log_probs(ours.encode(paths.views), tokens, languages)
    expected = -float(log_probs.sum() / (tokens[:, 1:] != 0).sum())
    assert plain.iterate(episodes) == pytest.approx(expected, rel=1e-4)


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

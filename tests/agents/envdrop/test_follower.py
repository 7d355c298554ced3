import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.layers.attention import drop
from clipnav.agents.layers.encoders import InstructionEncoder, State
from clipnav.agents.layers.visual import FeatureScale, PanoramaView
from clipnav.agents.settings import FollowerConfig

SMALL = FollowerConfig(embedding_size=6, hidden_size=8, action_size=5, dropout=0.5)
TOKENS = torch.tensor([[9, 3, 4, 5, 2, 0], [9, 6, 2, 0, 0, 0], [9, 7, 8, 2, 0, 0]])


@pytest.fixture
def follower():
    torch.manual_seed(0)
    return Follower(InstructionEncoder(10, SMALL), visual=12, angle=8, config=SMALL).eval()


def random_view(batch, candidates=4, width=20):
    mask = torch.ones(batch, candidates, dtype=torch.bool)
    mask[0, -1] = False
    return PanoramaView(
        torch.randn(batch, 36, width),
        torch.randn(batch, candidates, width),
        mask,
        angle=torch.randn(batch, 8),
        distances=4 * torch.rand(batch, candidates),
    )


def test_encoder_equals_a_packed_bidirectional_lstm(follower):
    encoder = follower.encoder
    reference = nn.LSTM(6, 4, bidirectional=True, batch_first=True)
    with torch.no_grad():
        for suffix, lstm in (("", encoder.read.forwards), ("_reverse", encoder.read.backwards)):
            getattr(reference, f"weight_ih_l0{suffix}").copy_(lstm.weight_ih_l0[:, :6])
            getattr(reference, f"weight_hh_l0{suffix}").copy_(lstm.weight_hh_l0)
            getattr(reference, f"bias_ih_l0{suffix}").copy_(lstm.weight_ih_l0[:, 6])
            getattr(reference, f"bias_hh_l0{suffix}").zero_()
    lengths = torch.tensor([5, 3, 4])
    packed = pack_padded_sequence(
        encoder.embedding(TOKENS), lengths, batch_first=True, enforce_sorted=False
    )
    outputs, (_, cell) = reference(packed)
    outputs, _ = pad_packed_sequence(outputs, batch_first=True)

    context, state = encoder(TOKENS)
    real = context.mask.unsqueeze(2)
    torch.testing.assert_close(context.words * real, outputs)
    torch.testing.assert_close(state.cell, torch.cat([cell[1], cell[0]], 1))
    peak = outputs.masked_fill(~real, -torch.inf).amax(1)
    torch.testing.assert_close(state.attended, torch.tanh(encoder.initial(peak)))


def test_visit_features_change_scores_of_visited_candidates():
    torch.manual_seed(0)
    config = dataclasses.replace(SMALL, visit_features=True)
    follower = Follower(InstructionEncoder(10, config), visual=12, angle=8, config=config).eval()
    context, state = follower.encoder(TOKENS)
    view = random_view(3)
    with pytest.raises(ValueError, match=r"PanoramaView\.visits"):
        follower.decoder(view, context, state)
    with torch.no_grad():
        follower.decoder.visits.weight.zero_()
        follower.decoder.visits.bias.copy_(torch.tensor([3.0, -1.0]))
    plain = follower.decoder(view._replace(visits=torch.zeros(3, 4)), context, state).scores
    visits = torch.tensor([[0.0, 1.0, 2.0, 0.0]]).expand(3, 4)
    marked = follower.decoder(view._replace(visits=visits), context, state).scores
    # Once for having been there, and once for each time.
    torch.testing.assert_close(
        (marked - plain)[1:], torch.tensor([0.0, 3 - 1, 3 - 2, 0.0]).expand(2, 4)
    )


@pytest.mark.parametrize("more", [False, True])
def test_every_parameter_reaches_the_loss(more):
    config = dataclasses.replace(
        SMALL,
        location_aware_attention=more,
        distance_feature=more,
        candidate_mlp=more,
        visit_features=more,
    )
    follower = Follower(InstructionEncoder(10, config), visual=12, angle=8, config=config)
    context, state = follower.encoder(TOKENS)
    for _ in range(2):
        view = random_view(3)._replace(visits=torch.tensor([[0.0, 1.0, 2.0, 0.0]] * 3))
        decision = follower.decoder(view, context, state, follower.noise(torch.arange(3)))
        state = decision.state
    functional.cross_entropy(decision.scores, torch.tensor([1, 2, 0])).backward()
    for name, parameter in follower.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_parameter_count_is_that_of_the_paper_without_unused_layers():
    # EnvDrop with 512-d features: encoder 1,569,280 and decoder 5,124,160, including 1,179,648
    # unused ones; ours has one bias where torch's LSTMs have two.
    config = FollowerConfig()
    follower = Follower(InstructionEncoder(992, config), visual=512, angle=128, config=config)
    encoder = sum(p.numel() for p in follower.encoder.parameters())
    decoder = sum(p.numel() for p in follower.decoder.parameters())
    assert encoder == 1_569_280 - 2 * 4 * 256
    assert decoder == 5_124_160 - 1_179_648 - 4 * 512


@pytest.mark.parametrize("embeds", [False, True])
def test_distance_feature_separates_candidates_in_one_view(embeds):
    torch.manual_seed(0)
    config = dataclasses.replace(SMALL, distance_feature=True, candidate_mlp=embeds)
    follower = Follower(InstructionEncoder(10, config), visual=12, angle=8, config=config)
    context, state = follower.encoder(TOKENS)
    view = random_view(3)
    view.candidates[:, 2] = view.candidates[:, 1]
    noise = follower.noise(torch.arange(3))
    follower.eval()
    near, far = torch.tensor([0.0, 2.0, 2.0, 3.0]), torch.tensor([0.0, 2.0, 5.0, 3.0])
    for distances, equal in ((near, True), (far, False)):
        seen = view._replace(distances=distances.expand(3, 4))
        scores = follower.decoder(seen, context, state, noise).scores
        assert torch.allclose(scores[:, 1], scores[:, 2]) is equal


def test_attention_history_accumulates_over_steps():
    torch.manual_seed(0)
    config = dataclasses.replace(SMALL, location_aware_attention=True)
    follower = Follower(InstructionEncoder(10, config), visual=12, angle=8, config=config).eval()
    context, state = follower.encoder(TOKENS)
    assert state.history[:, :, 0].tolist() == [[1.0, 1.0]] * 3
    assert not state.history[:, :, 1:].any()
    first = follower.decoder(random_view(3), context, state)
    second = follower.decoder(random_view(3), context, first.state)
    torch.testing.assert_close(second.state.history[:, 0], second.word_weights)
    total = state.history[:, 1] + first.word_weights + second.word_weights
    assert (total > 1).any()
    torch.testing.assert_close(second.state.history[:, 1], total.clamp(max=1))
    assert not second.state.history.requires_grad
    assert (second.word_weights[~context.mask] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.25, 0.3])
def test_kept_values_are_scaled_and_have_gradients(rate, dtype):
    torch.manual_seed(0)
    values = torch.randn(64, 50, dtype=dtype)
    values[values == 0] = 1  # torch 2.6 draws some zeros in half precision, which look dropped
    values.requires_grad_()
    dropped = drop(values, rate)
    assert dropped.dtype == dtype
    kept = dropped != 0
    precise = {torch.float32: 2e-5, torch.bfloat16: 1e-2}[dtype]
    torch.testing.assert_close(
        dropped[kept], values[kept] / (1 - rate), rtol=precise, atol=0, check_dtype=False
    )
    dropped.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad != 0, kept)
    factor = torch.full_like(values.grad[kept], 1 / (1 - rate))
    torch.testing.assert_close(values.grad[kept], factor, rtol=precise, atol=0)


def test_rows_of_state_and_context(follower):
    context, state = follower.encoder(TOKENS)
    index = torch.tensor([2, 0])
    assert torch.equal(context.rows(index).words, context.words[[2, 0]])
    assert torch.equal(context.rows(index).mask, context.mask[[2, 0]])
    assert isinstance(state.rows(index), State)
    assert torch.equal(state.rows(index).cell, state.cell[[2, 0]])
    assert torch.equal(state.rows(index).history, state.history[[2, 0]])
    again = State.joined(state.split())
    assert all(map(torch.equal, again, state))


def test_vectors_wider_than_those_of_house_clip_are_as_long():
    generator = torch.Generator().manual_seed(0)
    for width, length in ((64, 64.0), (128, 128.0), (1280, 128.0)):
        views = 5.0 + 3.0 * torch.randn(2000, width, generator=generator)
        scale = FeatureScale(width, 0)
        scale.fit(views.mean(0), views.std(0))
        assert scale.features(views).square().sum(1).mean() == pytest.approx(length, rel=1e-3)


def test_scale_standardises_and_leaves_stop_and_angles():
    torch.manual_seed(0)
    views = torch.cat([3.0 + 2.0 * torch.randn(400, 36, 12), torch.ones(400, 36, 8)], 2)
    candidates = views[:, :4].clone()
    candidates[:, 0] = 0.0
    visual = views[..., :12].flatten(0, 1)
    scale = FeatureScale(12, 8)
    scale.fit(visual.mean(0), visual.std(0))
    scaled = scale(
        PanoramaView(
            views, candidates, torch.ones(400, 4), torch.zeros(400, 8), torch.zeros(400, 4)
        )
    )
    torch.testing.assert_close(
        scaled.panorama[..., :12].mean((0, 1)), torch.zeros(12), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(
        scaled.panorama[..., :12].std((0, 1)), torch.ones(12), atol=1e-3, rtol=0
    )
    assert (scaled.panorama[..., 12:] == 1).all()
    assert (scaled.candidates[:, 0] == 0).all()
    torch.testing.assert_close(scaled.candidates[:, 1:], scaled.panorama[:, 1:4])
    assert "scale.shift" in Follower(InstructionEncoder(10, SMALL), 12, 8, SMALL).state_dict()
    assert Follower(InstructionEncoder(10, SMALL), 0, 8, SMALL).scale is None

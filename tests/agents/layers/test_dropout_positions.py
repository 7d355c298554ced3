"""Positions of dropout in the networks, as in EnvDrop's `model.py`, with one mask for all."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional

from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.envdrop.speaker import PathViews, Speaker
from clipnav.agents.layers.attention import Dropout
from clipnav.agents.layers.critic import Critic
from clipnav.agents.layers.encoders import Context, InstructionEncoder, State, initial_history
from clipnav.agents.layers.visual import PanoramaView
from clipnav.agents.settings import FollowerConfig, SpeakerConfig

SMALL = FollowerConfig(embedding_size=6, hidden_size=8, action_size=5, standardise=False)
TOKENS = torch.tensor([[9, 3, 4, 5, 2], [9, 6, 2, 0, 0]])


def drop(values):
    """Set every third value to 0 and scale up the others."""
    return 1.5 * values * (torch.arange(values.shape[-1]) % 3 > 0)


@pytest.fixture(autouse=True)
def one_mask(monkeypatch):
    monkeypatch.setattr(Dropout, "forward", lambda module, values: drop(values))
    torch.manual_seed(0)


def attended(query, keys, mask=None):
    """Return the weighted sum of keys (B, N, W) for queries (B, W)."""
    scores = torch.einsum("bw,bnw->bn", query, keys)
    scores = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
    return torch.einsum("bn,bnw->bw", scores.softmax(1), keys)


def lstm_step(cell, inputs, hidden, memory):
    """Return an nn.LSTMCell with the weights of our cell."""
    width, size = inputs.shape[1], hidden.shape[1]
    torchs = nn.LSTMCell(width, size)
    with torch.no_grad():
        torchs.weight_ih.copy_(cell.gates.weight[:, :width])
        torchs.weight_hh.copy_(cell.gates.weight[:, width:])
        torchs.bias_ih.copy_(cell.gates.bias)
        torchs.bias_hh.zero_()
    return torchs(inputs, (hidden, memory))


@pytest.mark.parametrize("embeds", [False, True])
def test_dropout_of_a_follower_step(embeds):
    config = dataclasses.replace(SMALL, candidate_mlp=embeds)
    decoder = Follower(InstructionEncoder(10, config), 12, 8, config).decoder
    possible = torch.tensor([[True, True, True, False], [True, True, True, True]])
    view = PanoramaView(
        torch.randn(2, 36, 20), torch.randn(2, 4, 20), possible, torch.randn(2, 8), torch.rand(2, 4)
    )
    context = Context(torch.randn(2, 5, 8), TOKENS != 0)
    state = State(torch.randn(2, 8), torch.randn(2, 8), initial_history(context.mask))
    decision = decoder(view, context, state)

    action = drop(torch.tanh(decoder.action(view.angle)))
    seen = attended(drop(state.attended) @ decoder.views.query.weight.T, view.panorama)
    inputs = torch.cat([action, seen], 1)
    hidden, memory = lstm_step(decoder.cell, inputs, state.attended, state.cell)
    query = drop(hidden)
    read = attended(query @ decoder.words.attention.query.weight.T, context.words, context.mask)
    mixed = torch.tanh(torch.cat([read, query], 1) @ decoder.words.mix.weight.T)
    candidates = view.candidates
    if embeds:
        first, second = decoder.embed.read, decoder.embed.combine
        candidates = torch.relu(functional.linear(candidates, first.weight, first.bias))
        candidates = drop(functional.linear(candidates, second.weight, second.bias))
    chosen = drop(mixed) @ decoder.candidates.query.weight.T
    scores = torch.einsum("bw,bkw->bk", chosen, candidates).masked_fill(~possible, -torch.inf)
    torch.testing.assert_close(decision.hidden, hidden)
    torch.testing.assert_close(decision.state.cell, memory)
    torch.testing.assert_close(decision.state.attended, mixed)
    torch.testing.assert_close(decision.scores, scores)


def test_dropout_of_the_instruction_encoder():
    encoder = InstructionEncoder(10, SMALL)
    context, state = encoder(TOKENS)
    mask = TOKENS != 0
    outputs, cell = encoder.read(drop(encoder.embedding(TOKENS)), mask)
    torch.testing.assert_close(context.words, drop(outputs))
    peak = outputs.masked_fill(~mask.unsqueeze(2), -torch.inf).amax(1)
    torch.testing.assert_close(state.attended, torch.tanh(encoder.initial(peak)))
    torch.testing.assert_close(state.cell, cell)


def test_dropout_of_the_speaker():
    config = SpeakerConfig(embedding_size=6, hidden_size=8, standardise=False)
    speaker = Speaker(12, visual=12, angle=8, languages=1, config=config)
    steps, mask = torch.tensor([0, 1, 2]), torch.ones(1, 3, dtype=torch.bool)
    taken, panorama = torch.randn(3, 20), torch.randn(3, 36, 20)
    seen = PathViews(torch.zeros(3, dtype=torch.long), steps, panorama, taken, steps == 2)
    context = speaker.encode(seen)
    encoder = speaker.encoder
    moves = drop(encoder.moves(taken[None], mask)[0][0])
    found = attended(moves @ encoder.views.attention.query.weight.T, panorama)
    sights = torch.tanh(torch.cat([found, moves], 1) @ encoder.views.mix.weight.T)
    sights = drop(encoder.sights(drop(sights)[None], mask)[0])
    torch.testing.assert_close(context.words, sights)

    decoder, tokens = speaker.decoder, TOKENS[:1]
    start = decoder.start(torch.zeros(1, dtype=torch.long))
    decoded = decoder.each(tokens, torch.ones_like(tokens, dtype=torch.bool), context, start)
    hidden = drop(decoder.read(drop(decoder.embedding(tokens)))[0][0])
    words = context.words.expand(len(hidden), -1, -1)
    found = attended(hidden @ decoder.path.attention.query.weight.T, words)
    mixed = torch.tanh(torch.cat([found, hidden], 1) @ decoder.path.mix.weight.T)
    torch.testing.assert_close(decoded, drop(mixed))


def test_dropout_of_the_critic():
    critic, hidden = Critic(8, 0.5), torch.randn(3, 8)
    values = critic.last(drop(torch.relu(critic.first(hidden))))[:, 0]
    torch.testing.assert_close(critic(hidden), values)

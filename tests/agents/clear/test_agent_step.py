"""The step of CLEAR's agent against the released code: states, logits, losses and gradients."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from clipnav.agents.clear.loading import RepresentedViews
from clipnav.agents.clear.losses import nt_xent
from clipnav.agents.clear.visual_network import VisualRepresentation
from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.layers.critic import Critic
from clipnav.agents.layers.encoders import Context
from clipnav.agents.layers.pretrained import PretrainedEncoder, TextModel
from clipnav.agents.layers.visual import PanoramaView
from clipnav.agents.settings import FollowerConfig
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics import score_path
from clipnav.envs.navigation.rewards import ndtw_rewards
from tests.conftest import connectivity_records

IMITATION_WEIGHT, CONTRASTIVE_WEIGHT, TEMPERATURE = 0.4, 0.2, 0.5


class KnownStates(nn.Module):
    """Stand-in for mBERT that returns given hidden states (B, L, W), row by row of its input."""

    def __init__(self, states):
        super().__init__()
        self.config = SimpleNamespace(hidden_size=states.shape[-1])
        self.current = states

    def forward(self, model_ids, attention_mask):
        return SimpleNamespace(last_hidden_state=self.current[:, : model_ids.shape[1]])


@pytest.fixture
def case(golden):
    return golden("clear_agent_step")


@pytest.fixture
def model(case, load_encoder):
    """Stand-in for mBERT, the follower and the critic with the golden weights."""
    weights, given = case.group("weight"), case.group("input")
    hidden = len(weights["encoder_pos.encoder2decoder.weight"])
    action = len(weights["decoder.embedding.0.weight"])
    width, angle = weights["visual_encoder.norm.weight"].numel(), given["angle"].shape[1]
    config = FollowerConfig(hidden_size=hidden, action_size=action, standardise=False)
    text = KnownStates(given["text_states"])
    visual = VisualRepresentation(width)
    load_encoder(visual.encoder, group(weights, "visual_encoder"))
    encoder = PretrainedEncoder(TextModel(text, shift=0), config, tune=True)
    views = RepresentedViews(visual, "golden", tune=True, encode_stop=True)
    follower = Follower(encoder, width, angle, config, views).eval()
    copy_decoder(follower.decoder, group(weights, "decoder"))
    encoder.initial.load_state_dict(group(weights, "encoder_pos.encoder2decoder"))
    critic = Critic(hidden, config.dropout).eval()
    first, last = (group(weights, f"critic.state2value.{layer}") for layer in (0, 3))
    critic.first.load_state_dict(first)
    critic.last.load_state_dict(last)
    return SimpleNamespace(text=text, follower=follower, critic=critic)


def group(weights, prefix):
    start = f"{prefix}."
    return {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}


def copy_decoder(decoder, weights):
    """Copy weights by their released names; two outputs of attentions reach no loss."""
    gates = decoder.cell.gates
    with torch.no_grad():
        decoder.action.weight.copy_(weights["embedding.0.weight"])
        decoder.action.bias.copy_(weights["embedding.0.bias"])
        gates.weight.copy_(torch.cat([weights["lstm.weight_ih"], weights["lstm.weight_hh"]], 1))
        gates.bias.copy_(weights["lstm.bias_ih"] + weights["lstm.bias_hh"])
        decoder.views.query.weight.copy_(weights["feat_att_layer.linear_in.weight"])
        decoder.words.attention.query.weight.copy_(weights["attention_layer.linear_in.weight"])
        decoder.words.mix.weight.copy_(weights["attention_layer.linear_out.weight"])
        decoder.candidates.query.weight.copy_(weights["candidate_att_layer.linear_in.weight"])


def encoded(model, states, mask):
    model.text.current = states
    context, state = model.follower.encoder(mask)
    longest = context.words.shape[1]
    assert torch.equal(context.mask, mask[:, :longest] != 0)
    return context, state


def test_agent_step_equals_the_released_code(case, model, check_close):
    given, expected = case.group("input"), case.group("output")
    context, state = encoded(model, given["text_states"], given["text_mask"])
    paired, _ = encoded(model, given["pair_states"], given["pair_mask"])
    assert isinstance(paired, Context)
    check_close(state.attended, expected["h0"])
    assert torch.equal(state.attended, state.cell)
    # The released code has stop after the candidates, this one before them; the order is free.
    candidates = given["candidates"]
    everything = torch.ones(candidates.shape[:2], dtype=torch.bool)
    distances = torch.zeros(candidates.shape[:2])
    view = PanoramaView(given["panorama"], candidates, everything, given["angle"], distances)
    decision = model.follower.decide(view, context, state, paired=paired)

    check_close(decision.hidden, expected["h1"])
    check_close(decision.state.cell, expected["c1"])
    check_close(decision.state.attended, expected["h_tilde"])
    check_close(decision.scores, expected["logits_before_mask"])
    check_close(model.critic(decision.hidden), expected["value"])
    own, other = decision.contrast
    check_close(own, expected["weighted_context"])
    check_close(other, expected["weighted_pair_context"])

    counts = given["candidate_count_with_stop"]
    possible = torch.arange(candidates.shape[1]) < counts[:, None]
    scores = decision.scores.masked_fill(~possible, -torch.inf)
    imitation = functional.cross_entropy(scores, given["target"], reduction="sum")
    contrastive = nt_xent(own, other, TEMPERATURE)
    check_close(imitation, expected["imitation_sum"])
    check_close(contrastive, expected["contrastive"])
    batch = len(scores)
    loss = (IMITATION_WEIGHT * imitation + CONTRASTIVE_WEIGHT * contrastive) / batch
    check_close(loss, expected["loss"])

    loss.backward()
    gradients = case.group("gradient")
    inputs = gradients["decoder.lstm.weight_ih"].shape[1]
    gates = model.follower.decoder.cell.gates.weight.grad[:, :inputs]
    check_close(gates, gradients["decoder.lstm.weight_ih"], gradient=True)
    visual = model.follower.view_encoder.network.encoder.layers[1].weight.grad
    check_close(visual, gradients["visual_encoder.ff_layer.1.weight"], gradient=True)
    initial = model.follower.encoder.initial.weight.grad
    check_close(initial, gradients["encoder2decoder.weight"], gradient=True)


@pytest.fixture
def rewards(golden):
    return golden("clear_rewards").settings


@pytest.fixture
def graph(rewards):
    """Complete graph over the golden positions."""
    places = dict(zip(rewards["names"], rewards["positions"], strict=True))
    edges = set(itertools.combinations(places, 2))
    return NavGraph("complete", connectivity_records(places, edges))


def test_rewards_equal_the_released_code(rewards):
    places = dict(zip(rewards["names"], np.array(rewards["positions"]), strict=True))
    for walk in rewards["walks"]:
        goal = places[walk["reference"][-1]]
        # The last step, stop, does not move.
        walked = [*walk["walk"], walk["walk"][-1]]
        distances = np.array([np.linalg.norm(places[name] - goal) for name in walked])
        ndtw = np.array(walk["ndtw_from_start_on"])
        stop = np.arange(len(walked) - 1) == len(walked) - 2
        computed = ndtw_rewards(distances[:-1], distances[1:], stop, ndtw[:-1], ndtw[1:])
        np.testing.assert_allclose(computed, walk["rewards (moves, then stop)"], rtol=0, atol=1e-5)


def test_ndtw_equals_the_released_code(rewards, graph):
    for walk in rewards["walks"]:
        path, reference = walk["walk"], walk["reference"]
        prefixes = [path[:end] for end in range(1, len(path) + 1)]
        scores = [score_path(graph, prefix, reference)["ndtw"] for prefix in (*prefixes, path)]
        # The golden values are rounded to float32.
        np.testing.assert_allclose(scores, walk["ndtw_from_start_on"], rtol=1e-6)

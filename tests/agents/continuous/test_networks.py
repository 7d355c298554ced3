"""Seq2Seq and CMA: published sizes, steps one by one, padding, and attention by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from clipnav.agents.continuous.networks import Cells, Steps, attend, make_network
from clipnav.agents.continuous.settings import continuous_defaults

KINDS = ("seq2seq", "cma")


def random_steps(batch, steps, cells=4, channels=3):
    torch.manual_seed(1)
    return Steps(
        torch.randn(batch, steps, cells, channels),
        torch.rand(batch, steps, 16, 16),
        torch.randint(0, 5, (batch, steps)),
    )


def random_words(batch, length=7):
    torch.manual_seed(2)
    return torch.randint(1, 9, (batch, length))


@pytest.fixture(params=KINDS)
def network(request, tiny_network):
    torch.manual_seed(0)
    config = replace(tiny_network, kind=request.param, progress_monitor=True)
    return make_network(config, 9, (4, 3), 4).eval()


# VLN-CE's trainable weights with the features of ResNet-50: 16 cells of 2,048 (colour) and of 128
# channels (depth). Word embeddings and depth network are frozen there and not counted.
@pytest.mark.parametrize(("kind", "weights"), [("seq2seq", 2_457_477), ("cma", 6_153_381)])
def test_published_numbers_of_weights(kind, weights):
    config = continuous_defaults(recipe=f"{kind}-pm").network
    network = make_network(config, 50, (16, 2048), 4)
    frozen = [*network.depth.parameters(), network.text.embedding.weight]
    count = sum(weight.numel() for weight in network.parameters())
    assert count - sum(weight.numel() for weight in frozen) == weights


def test_single_steps_equal_a_whole_walk(network):
    words, steps = network.text(random_words(2)), random_steps(2, 5)
    whole = network(words, steps, network.first_state(2))
    state = network.first_state(2)
    for k in range(5):
        output = network(words, Steps(*(part[:, k : k + 1] for part in steps)), state)
        state = output.state
        torch.testing.assert_close(output.logits[:, 0], whole.logits[:, k])
        torch.testing.assert_close(output.progress[:, 0], whole.progress[:, k])
    torch.testing.assert_close(state, whole.state)


def test_walks_of_a_batch_and_padding_of_words_have_no_influence(network):
    ids, steps = random_words(3), random_steps(3, 4)
    together = network(network.text(ids), steps, network.first_state(3)).logits
    longer = torch.cat([ids[:1], torch.zeros(1, 5, dtype=torch.long)], dim=1)
    alone = network(
        network.text(longer), Steps(*(part[:1] for part in steps)), network.first_state(1)
    )
    torch.testing.assert_close(together[:1], alone.logits)


@pytest.mark.parametrize("part", range(2))
def test_colour_depth_and_words_change_the_actions(network, part):
    words, steps = network.text(random_words(1)), random_steps(1, 3)
    before = network(words, steps, network.first_state(1)).logits
    parts = list(steps)
    parts[part] = parts[part] + torch.linspace(0, 1, parts[part].shape[-1])
    after = network(words, Steps(*parts), network.first_state(1)).logits
    assert (before - after).abs().max() > 1e-6
    other = network(network.text(random_words(1) % 8 + 1), steps, network.first_state(1)).logits
    assert (before - other).abs().max() > 1e-6


def test_only_cma_uses_the_previous_action(network):
    words, steps = network.text(random_words(1)), random_steps(1, 3)
    changed = steps._replace(previous=(steps.previous + 1) % 5)
    before, after = (network(words, s, network.first_state(1)).logits for s in (steps, changed))
    assert torch.equal(before, after) == (network.config.kind == "seq2seq")


def test_attention_by_hand():
    rng = np.random.default_rng(0)
    queries, keys, values = rng.normal(size=(1, 2, 3)), rng.normal(size=(1, 4, 3)), np.eye(4)[None]
    mask = np.array([[True, True, False, True]])
    scores = queries[0] @ keys[0].T / np.sqrt(3)
    weights = np.exp(scores) * mask
    expected = weights / weights.sum(-1, keepdims=True)
    query, key, value = (torch.from_numpy(part) for part in (queries, keys, values))
    attended = attend(query, key, value, torch.from_numpy(mask))
    np.testing.assert_allclose(attended[0], expected)


def test_attention_over_cells_equals_projected_keys_and_values():
    torch.manual_seed(0)
    features, positions = torch.randn(2, 3, 4, 5), torch.randn(4, 2)
    queries, key_value = torch.randn(2, 3, 6), torch.nn.Linear(7, 6 + 8)
    cells = torch.cat([features, positions.expand(2, 3, -1, -1)], dim=-1)
    keys, values = key_value(cells).split([6, 8], dim=-1)
    weights = (torch.einsum("btk,btnk->btn", queries, keys) / np.sqrt(6)).softmax(-1)
    expected = torch.einsum("btn,btnv->btv", weights, values)
    separate = Cells(features, positions)
    torch.testing.assert_close(separate.attend(queries, key_value), expected)
    torch.testing.assert_close(separate.mean(), cells.mean(2))
    assert torch.equal(separate.flat(), cells.flatten(2))

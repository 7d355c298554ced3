"""The network: positions of visual tokens, frozen towers, word pieces, and masked words alone."""

import pytest
import torch
from transformers import BertConfig, BertModel

from clipnav.vl_tasks.clip_vil_p.data.pair_batches import NONE, Batch
from clipnav.vl_tasks.clip_vil_p.data.word_pieces import WordPieces
from clipnav.vl_tasks.clip_vil_p.networks.network import PretrainingNetwork
from clipnav.vl_tasks.clip_vil_p.networks.stream import JointStream
from clipnav.vl_tasks.clip_vil_p.networks.trunk import Trunk
from tests.vl_tasks.clip_vil_p.test_networks import RESNET, VIT, pictures, tower


def stream(positions, channels=12, pools_means=False):
    torch.manual_seed(0)
    sizes = BertConfig(
        vocab_size=30,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=10,
    )
    bert = BertModel(sizes, add_pooling_layer=False)
    return JointStream(bert, channels, positions, pools_means).eval()


@torch.no_grad()
@pytest.mark.parametrize("positions", [0, 4])
def test_positions_distinguish_visual_tokens(positions):
    network = stream(positions)
    grid = torch.randn(2, 3, 4, 12)
    mask = torch.ones(2, 3, 4, dtype=torch.bool)
    pieces = torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]])
    pooled = network(pieces, grid, mask, None).pooled
    mirrored = network(pieces, grid.flip(2), mask, None).pooled
    assert torch.allclose(pooled, mirrored, atol=1e-5) == (positions == 0)


@torch.no_grad()
@pytest.mark.parametrize("pools_means", [False, True])
def test_padding_of_words_and_images_has_no_effect(pools_means):
    network = stream(4, pools_means=pools_means)
    grid = torch.randn(1, 3, 4, 12)
    mask = torch.ones(1, 3, 4, dtype=torch.bool)
    pieces = torch.tensor([[2, 7, 3]])
    alone = network(pieces, grid, mask, None).pooled
    padded = torch.cat([grid, torch.randn(1, 1, 4, 12)], dim=1)
    longer = torch.cat([mask, torch.zeros(1, 1, 4, dtype=torch.bool)], dim=1)
    other = network(torch.tensor([[2, 7, 3, 0, 0]]), padded, longer, None).pooled
    torch.testing.assert_close(alone, other)


def test_means_are_those_of_words_and_visual_tokens():
    network, mask = stream(4, pools_means=True), torch.ones(1, 3, 4, dtype=torch.bool)
    states = network(torch.tensor([[2, 7, 3]]), torch.randn(1, 3, 4, 12), mask, None)
    expected = network.pooler(states.words.mean(1) + states.cells.mean(1)).tanh()
    torch.testing.assert_close(states.pooled, expected)


def test_tokens_of_a_vit_include_the_class_token():
    torch.manual_seed(0)
    trunk = Trunk(tower(VIT), faithful=True, tokens=True).eval()
    grid, mask = trunk(pictures())
    assert grid.shape == (2, 1, 1 + 4 * 6, 24)
    assert mask.all()
    plain, _ = Trunk(trunk.visual, faithful=True).eval()(pictures())
    normed = trunk.visual.ln_post(grid[:, 0, 1:])
    torch.testing.assert_close(normed.unflatten(1, (4, 6)), plain)
    values = torch.arange(25.0)[None]
    on_cells = trunk.as_grid(values, pictures().pixels[:1])
    assert torch.equal(on_cells, torch.arange(1.0, 25.0).view(4, 6))
    assert Trunk(tower(RESNET), faithful=True, tokens=True)(pictures())[0].shape[1:3] == (2, 3)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("sizes", [RESNET, VIT], ids=["resnet", "vit"])
def test_every_weight_that_requires_a_gradient_has_one(sizes, frozen):
    """DistributedDataParallel would wait for the others."""
    trunk = Trunk(tower(sizes), faithful=True, tokens=True)
    trunk.frozen = frozen
    network = PretrainingNetwork(trunk, stream(0, trunk.channels), 0, None).train()
    pieces = torch.tensor([[2, 7, 3], [2, 9, 3]])
    words = torch.tensor([[NONE, 7, NONE], [NONE, NONE, NONE]])
    none = torch.full((2,), NONE)
    network(Batch(pictures(), pieces, words, none, none)).losses.sum().backward()
    lacking = [n for n, w in network.named_parameters() if w.requires_grad and w.grad is None]
    assert not lacking
    assert all(weight.requires_grad != frozen for weight in trunk.visual.conv1.parameters())


def test_word_pieces_keep_accents_and_vowel_signs():
    texts = ["une fenêtre", "सोफ़ा कुर्सी", "కుర్చీ అద్దం"] * 3
    pieces = WordPieces.learn(texts, 200, keeps_accents=True)
    stripped = WordPieces.learn(texts, 200)
    assert (stripped.encode(["कुर्सी"], 9) == stripped.encode(["करसी"], 9)).all()
    assert (pieces.encode(["कुर्सी"], 9) != pieces.encode(["करसी"], 9)).any()
    # Composed and decomposed letters are the same.
    assert (pieces.encode(["fenêtre"], 9) == pieces.encode(["fene\u0302tre"], 9)).all()
    again = WordPieces.learn(texts, 200, keeps_accents=True)
    assert again.digest == pieces.digest

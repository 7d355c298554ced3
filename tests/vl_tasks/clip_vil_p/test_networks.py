"""Trunk, attention, drawing of cells, padding, and the sizes of the published models."""

import pytest
import torch
from open_clip import get_model_config
from transformers import BertConfig, BertModel

from clipnav.encoders.weights.model_building import _build
from clipnav.vl_tasks.clip_vil_p.data.pictures import Pictures
from clipnav.vl_tasks.clip_vil_p.networks.network import AnswerHead, PretrainingNetwork
from clipnav.vl_tasks.clip_vil_p.networks.stream import SingleStream, VisualEmbedding, draw_cells
from clipnav.vl_tasks.clip_vil_p.networks.trunk import PointwiseConvolution, Trunk
from clipnav.vl_tasks.clip_vil_p.optimisers import autocast

ANSWERS = 9500
VIT = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 24, "head_width": 12, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 20, "width": 16, "heads": 2, "layers": 1},
}
RESNET = {**VIT, "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8,
                                "patch_size": None}}  # fmt: skip


def tower(config):
    visual = _build(config, "test").visual
    visual.image_mean, visual.image_std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)
    return visual


@pytest.mark.parametrize(("name", "trunk_millions"), [("RN50", 23.53), ("RN50x4", 65.62)])
def test_published_models_have_the_published_sizes(name, trunk_millions):
    with torch.device("meta"):
        visual = tower(get_model_config(name))
        trunk = Trunk(visual)
        bert = BertModel(BertConfig(), add_pooling_layer=False)
        stream = SingleStream(bert, trunk.channels, 25)
        network = PretrainingNetwork(trunk, stream, ANSWERS, 100)
    count = sum(weight.numel() for weight in trunk.parameters())
    assert count / 1e6 == pytest.approx(trunk_millions, abs=0.005)
    channels, d, v = trunk.channels, 768, 30522
    layer = 4 * (d * d + d) + 2 * (2 * d) + 2 * d * 3072 + 3072 + d
    embeddings = (v + 512 + 2) * d + 2 * d
    visual_embedding = 2 * 25 * channels + channels * d + d + 2 * d
    heads = (d * d + d + 2 * d + v) + (2 * d + 2)
    answers = 2 * d * d + 2 * d + 4 * d + 2 * d * ANSWERS + ANSWERS
    expected = embeddings + 12 * layer + visual_embedding + (d * d + d) + heads + answers
    assert sum(w.numel() for w in network.parameters()) == count + expected


def pictures(height=64, width=96, box=(16, 0, 32, 96), seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (2, 3, height, width), generator=generator).byte()
    boxes = torch.tensor([box, (0, 0, height, width)])
    return Pictures(pixels, boxes)


@pytest.mark.parametrize("config", [VIT, RESNET], ids=["vit", "resnet"])
def test_grids_and_masks_follow_the_images(config):
    torch.manual_seed(0)
    trunk = Trunk(tower(config)).eval()
    grid, mask = trunk(pictures())
    stride = trunk.tower.stride[0]
    assert grid.shape == (2, 64 // stride, 96 // stride, trunk.channels)
    rows = torch.arange(64 // stride) * stride
    inside = (rows + stride > 16) & (rows < 48)
    assert torch.equal(mask[0], inside[:, None].expand_as(mask[0]))
    assert mask[1].all()
    # What the padding contains does not matter.
    spoilt = pictures()
    spoilt.pixels[0, :, :16] = 255
    torch.testing.assert_close(trunk(spoilt)[0], grid)
    faithful = Trunk(tower(config), faithful=True).eval()
    _, mask = faithful(pictures())
    assert mask.all()


def test_faithful_padding_is_black():
    black = pictures()
    black.pixels[0, :, :16] = 0
    found = []
    for faithful in (False, True):
        torch.manual_seed(0)
        found.append(Trunk(tower(RESNET), faithful=faithful).eval()(black)[0])
    differs = (found[0] - found[1]).abs().amax((1, 2, 3))
    assert differs[0] > 1e-3
    assert differs[1] < 1e-6


@pytest.mark.parametrize("config", [VIT, RESNET], ids=["vit", "resnet"])
@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_all_weights_of_a_trunk_are_trained_at_any_size(config, size):
    torch.manual_seed(0)
    trunk = Trunk(tower(config))
    for name, weight in trunk.named_parameters():
        if name.endswith("bn3.weight"):  # 0 in a new ModifiedResNet
            torch.nn.init.ones_(weight)
    grid, _ = trunk(pictures(*size, box=(0, 0, *size)))
    (grid * torch.randn_like(grid)).sum().backward()
    without = [n for n, w in trunk.named_parameters() if w.grad is None or not w.grad.any()]
    assert without == []


def test_frozen_norms_keep_their_statistics_but_train_their_weights():
    trunk = Trunk(tower(RESNET), frozen_norms=True).train()
    before = trunk.visual.bn1.running_mean.clone()
    trunk(pictures())[0].sum().backward()
    assert torch.equal(trunk.visual.bn1.running_mean, before)
    assert trunk.visual.bn1.weight.grad.any()
    trunk.frozen_norms = False
    trunk.train()(pictures())
    assert not torch.equal(trunk.visual.bn1.running_mean, before)


def small_stream(channels, positions, **settings):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    bert = BertModel(BertConfig(vocab_size=30, intermediate_size=24, **sizes), False)
    return SingleStream(bert, channels, positions, **settings).eval()


def test_pooled_means_depend_on_neither_padding_nor_the_order_of_cells():
    torch.manual_seed(0)
    stream = small_stream(4, 0, pools_means=True)
    pieces, cells = torch.tensor([[1, 5, 2, 0]]), torch.randn(1, 3, 4)
    mask = torch.tensor([[True, True, False]])
    states = stream.encode(pieces, pieces != 0, cells, mask)
    mean = states.words[:, :3].mean(1) + states.cells[:, :2].mean(1)
    torch.testing.assert_close(states.pooled, stream.pooler(mean).tanh())
    turned = stream.encode(pieces[:, :3], pieces[:, :3] != 0, cells.flip(1), mask.flip(1))
    torch.testing.assert_close(turned.pooled, states.pooled)


def test_cells_are_drawn_without_repeats_from_the_image():
    mask = torch.ones(3, 20, dtype=torch.bool)
    mask[0, :14] = False
    torch.manual_seed(3)
    drawn = draw_cells(mask, 8)
    torch.manual_seed(3)
    assert torch.equal(draw_cells(mask, 8), drawn)
    for row in drawn.tolist():
        assert len(set(row)) == 8
    assert set(range(14, 20)) <= set(drawn[0].tolist())  # all that there are
    counts = torch.zeros(20)
    for _ in range(400):
        counts += torch.bincount(draw_cells(mask, 8)[1], minlength=20)
    assert (counts / 400 - 0.4).abs().max() < 0.12


def test_padding_and_its_cells_do_not_change_states():
    torch.manual_seed(0)
    stream = small_stream(6, 5)
    pieces = torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]])
    grid = torch.randn(2, 3, 4, 6)
    mask = torch.ones(2, 3, 4, dtype=torch.bool)
    mask[0, 2] = False
    states = stream(pieces, grid, mask, None)
    spoilt = grid.clone()
    spoilt[0, 2] = 1e3
    longer = torch.nn.functional.pad(pieces, (0, 3))
    again = stream(longer, spoilt, mask, None)
    torch.testing.assert_close(again.pooled, states.pooled)
    torch.testing.assert_close(again.words[:, :3], states.words[:, :3])
    assert states.pooled.abs().max() <= 1
    # All cells in another order are the same image.
    torch.testing.assert_close(stream(pieces, grid, mask, 11).pooled.shape, states.pooled.shape)


def test_standardising_the_projection_equals_standardised_features():
    torch.manual_seed(0)
    visual = VisualEmbedding(6, 8, 0, 0.0, 1e-12)
    cells = torch.randn(50, 6) * torch.tensor([1.0, 5, 0.1, 2, 3, 1]) + 40
    normed = (cells - cells.mean(0)) / cells.std(0, correction=0)
    expected = visual(normed[None])
    visual.standardise(cells)
    torch.testing.assert_close(visual(cells[None]), expected, atol=1e-3, rtol=1e-3)


def test_pointwise_convolutions_equal_those_of_torch():
    torch.manual_seed(0)
    plain = torch.nn.Conv2d(6, 5, 1)
    ours = PointwiseConvolution(6, 5, 1)
    ours.load_state_dict(plain.state_dict())
    images = torch.randn(2, 6, 4, 3).to(memory_format=torch.channels_last)
    found = ours(images)
    torch.testing.assert_close(found, plain(images))
    assert found.is_contiguous(memory_format=torch.channels_last)
    trunk = Trunk(tower(RESNET))
    kinds = [type(m) for m in trunk.modules() if isinstance(m, torch.nn.Conv2d)]
    assert kinds.count(PointwiseConvolution) == 3 * 4
    assert {n for n, _ in trunk.named_parameters()} == {
        f"visual.{n}" for n, _ in tower(RESNET).named_parameters() if n[:8] != "attnpool"
    }


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_attention_of_training_equals_that_of_evaluation(precision):
    torch.manual_seed(0)
    stream = small_stream(8, 0)
    cells, mask = torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = False
    words = torch.tensor([[1, 2, 3], [4, 5, 0]])
    with autocast(precision, "cpu"):
        trained = stream.encode(words, words != 0, cells, mask)
        with torch.no_grad():
            evaluated = stream.encode(words, words != 0, cells, mask)
    assert trained.pooled.requires_grad
    tolerance = {"fp32": 1e-5, "bf16": 0.03}[precision]
    for left, right in zip(trained, evaluated, strict=True):
        torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance)


def test_classes_have_scores_in_single_precision():
    torch.manual_seed(0)
    head = AnswerHead(16, 300)
    states = torch.randn(4, 16).bfloat16()
    with autocast("bf16", "cpu"):
        logits = head(states)
    assert torch.equal(logits, head(states.float()))
    assert all(len(row.unique()) == 300 for row in logits)

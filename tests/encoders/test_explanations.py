from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from PIL import Image
from torch.nn import functional as F

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.explanations import explain, text_score
from clipnav.encoders.preparation import Preparation
from clipnav.encoders.towers.tower import image_tower
from clipnav.storage.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def encoder(tiny_clip: Path) -> ClipEncoder:
    return ClipEncoder.load(str(tiny_clip), precision="fp32", device="cpu")


@pytest.fixture
def image() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    return Image.fromarray(pixels)


def encoder_of(visual: Any, size: int) -> Any:
    """Build a stand-in for an encoder around any image tower, with what `explain` uses."""
    from open_clip.transform import PreprocessCfg

    config = PreprocessCfg(size=(size, size))
    tower = image_tower(visual)
    prepare = ClipEncoder.prepared
    encoder = SimpleNamespace(
        tower=tower,
        precision="fp32",
        device=torch.device("cpu"),
        preprocessing=vars(config),
        preparation=Preparation(config, tower.multiple, tower.stride),
    )
    encoder.prepared = lambda batch, fit: prepare(encoder, batch, fit)  # type: ignore
    return encoder


def test_grad_cam_of_one_channel_is_that_channel(tiny_resnet: Path, image: Image.Image):
    """The mean of a channel has the same gradient everywhere, and none for other channels."""
    encoder = ClipEncoder.load(str(tiny_resnet), precision="fp32", device="cpu")
    grid = encoder.grid([image], (128, 128), "stretch")[0]  # (4, 4, C)
    channel = int(grid.max((0, 1)).argmax())
    explanation = explain(
        encoder, image, lambda x: x[0, ..., channel].mean(), "grid", (128, 128), "stretch"
    )
    assert explanation.score == pytest.approx(grid[..., channel].mean(), rel=1e-4)
    expected = grid[..., channel] / grid[..., channel].max()
    np.testing.assert_allclose(explanation.heat, expected, atol=1e-4)
    # Cells that lower the score have heat 0.
    against = explain(encoder, image, lambda x: -x[0, ..., channel].mean(), "grid")
    assert not against.heat.any()


@pytest.mark.parametrize("layers", [1, 2])
def test_relevance_is_its_formula(image: Image.Image, layers: int):
    """Chefer et al.: the class token's row of the propagated max(gradient x attention, 0)."""
    torch.manual_seed(0)
    visual = VisionTransformer(
        image_size=64, patch_size=16, width=48, layers=layers, heads=3, mlp_ratio=2.0, output_dim=8
    ).eval()
    encoder = encoder_of(visual, 64)
    direction = torch.randn(8)
    explanation = explain(encoder, image, lambda pooled: pooled[0] @ direction)

    (batch,) = encoder.preparation.batches([image], None, "center_crop")
    with torch.no_grad():
        x = visual._embeds(batch.pixels)
        assert explanation.score == pytest.approx(
            (visual(batch.pixels)[0] @ direction).item(), rel=1e-4
        )
    y, maps = x[0].requires_grad_(), []
    blocks: Any = visual.transformer.resblocks
    for block in blocks:
        query, key, value = F.linear(
            block.ln_1(y), block.attn.in_proj_weight, block.attn.in_proj_bias
        ).view(17, 3, 3, 16).permute(1, 2, 0, 3)  # fmt: skip
        maps.append((query @ key.mT / 4).softmax(-1))  # (3, 17, 17)
        mixed = (maps[-1] @ value).transpose(0, 1).reshape(17, 48)
        y = y + block.attn.out_proj(mixed)
        y = y + block.mlp(block.ln_2(y))
    gradients = torch.autograd.grad(visual.ln_post(y[0]) @ visual.proj @ direction, maps)
    relevance = torch.eye(17)
    for attention, gradient in zip(maps, gradients, strict=True):
        relevance = relevance + (gradient * attention).clamp(min=0).mean(0) @ relevance
    expected = relevance[0, 1:].view(4, 4)
    expected = (expected / expected.max()).detach().numpy()
    np.testing.assert_allclose(explanation.heat, expected, rtol=1e-3, atol=1e-5)


def test_a_text_is_explained_by_its_cosine(encoder: ClipEncoder, image: Image.Image):
    explanation = explain(encoder, image, text_score(encoder, "a red sofa"))
    pooled, text = encoder.pooled([image])[0], encoder.text(["a red sofa"])[0]
    assert explanation.score == pytest.approx(pooled @ text / np.linalg.norm(pooled), abs=1e-5)
    np.testing.assert_array_equal(explanation.image, np.asarray(image))
    assert explanation.heat.min() >= 0
    assert explanation.heat.max() in (0, 1)


def test_padding_has_no_heat(encoder: ClipEncoder, image: Image.Image):
    wide = image.resize((128, 64))
    for of in ("pooled", "grid"):
        explanation = explain(encoder, wide, lambda x: x.square().sum(), of, (128, 128), "pad")
        rows, columns = explanation.heat.shape
        assert (rows, columns) == (128 // encoder.tower.stride[0],) * 2
        assert not explanation.heat[rows // 2 :].any()
        assert explanation.heat.max() == 1 or of == "pooled"


def test_the_score_of_a_vit_cell_is_explained_by_that_cell(
    tiny_transformer: Path, image: Image.Image
):
    """The cell attends mostly to itself."""
    encoder = ClipEncoder.load(str(tiny_transformer), precision="fp32", device="cpu")
    explanation = explain(encoder, image, lambda x: x[0, 2, 1].square().sum(), "grid")
    assert np.unravel_index(explanation.heat.argmax(), explanation.heat.shape) == (2, 1)


def test_timm_towers_are_explained_and_towers_without_attention_maps_refused(image: Image.Image):
    torch.manual_seed(0)
    convnext = encoder_of(TimmModel("test_convnext", 16, 160, pool="", proj="linear").eval(), 160)
    explanation = explain(convnext, image, lambda pooled: pooled.square().sum(), fit="stretch")
    assert explanation.heat.shape == (5, 5)
    assert explanation.heat.max() == 1
    with pytest.raises(UserError, match="does not support masked padding; use fit 'stretch'"):
        explain(convnext, image, lambda pooled: pooled.sum(), fit="pad")
    sizes: dict[str, Any] = {"image_size": 64, "patch_size": 16, "width": 48, "layers": 1}
    for options, message in (
        ({"attentional_pool": True}, "attentional pooler"),
        ({"qk_norm": True}, "does not expose its attention"),
    ):
        visual = VisionTransformer(**sizes, heads=3, mlp_ratio=2.0, output_dim=8, **options)
        with pytest.raises(ValueError, match=message):
            explain(encoder_of(visual.eval(), 64), image, lambda pooled: pooled.sum())


def test_the_command_writes_the_image_and_its_heat_map(run_command, tmp_path: Path):
    with Image.open(ROOT / "docs" / "rooms.jpg") as rooms:
        room = rooms.convert("RGB").crop((0, 0, 320, 240))
    room.save(tmp_path / "room.png")
    output = ("--output", tmp_path / "heat.png")
    size = ("--image-size", 128, 256)
    printed = run_command("explain-image", tmp_path / "room.png", "a coat", *output, *size)
    assert "grid of 4 x 8" in printed
    pixels = np.asarray(Image.open(tmp_path / "heat.png")).astype(int)
    legend = pixels[240:]
    assert pixels.shape[1:] == (2 * 320, 3)
    assert 20 < len(legend) < 60
    pixels = pixels[:240]
    np.testing.assert_array_equal(pixels[:, :320], np.asarray(room))
    changed = np.abs(pixels[:, 320:] - pixels[:, :320]).sum(-1)
    # The scale ends in the colour of the most support.
    assert (legend[..., 0] - legend[..., 2]).max() > 80
    assert changed.max() > 100  # hot somewhere
    assert (changed < 10).mean() > 0.1  # and cold elsewhere

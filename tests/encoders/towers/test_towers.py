"""Image towers against open_clip's and timm's own forward passes."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import open_clip
import pytest
import torch
from open_clip.model import resize_pos_embed
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch.nn import functional as F

from clipnav.encoders.towers.tower import image_tower
from clipnav.encoders.weights.loading import load_model

VIT: dict[str, Any] = {
    "image_size": 64,
    "patch_size": 16,
    "width": 48,
    "layers": 3,
    "heads": 3,
    "mlp_ratio": 2.0,
    "output_dim": 32,
}
# The variants of a ViT in open_clip's configurations.
VIT_KINDS: dict[str, dict[str, Any]] = {
    "class token": {},
    "scale of layers": {"ls_init_value": 0.5},
    "mean of patches": {"pool_type": "avg"},
    "norm after pooling": {"pool_type": "avg", "final_ln_after_pool": True},
    "no first norm": {"no_ln_pre": True},
    "attentional pooler": {"attentional_pool": True, "attn_pooler_queries": 5},
    "custom blocks": {"qk_norm": True, "scale_heads": True, "scale_attn_inner": True},
}
TIMM_KINDS = {
    "convnext": ("test_convnext", "", "linear"),
    "siglip": ("test_vit", "map", "none"),
    "mean": ("test_vit", "avg", "linear"),
    "class token": ("test_vit", "token", "linear"),
}


def images(height: int = 64, width: int = 64, count: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def resnet(tiny_resnet: Path):
    return load_model(str(tiny_resnet), None)[0].visual


@pytest.fixture
def vit() -> Callable[[str], VisionTransformer]:
    def build(kind: str) -> VisionTransformer:
        torch.manual_seed(0)
        return VisionTransformer(**VIT, **VIT_KINDS[kind]).eval()

    return build


@torch.no_grad()
def test_a_resnet_equals_open_clips(resnet):
    tower = image_tower(resnet)
    torch.testing.assert_close(tower.pooled(images()), resnet(images()))
    expected = resnet.forward_intermediates(images(), indices=1)["image_intermediates"][0]
    torch.testing.assert_close(tower.grid(images()), expected.permute(0, 2, 3, 1))


@torch.no_grad()
@pytest.mark.parametrize("kind", VIT_KINDS)
def test_a_vit_equals_open_clips(vit, kind: str):
    visual = vit(kind)
    tower = image_tower(visual)
    torch.testing.assert_close(tower.pooled(images()), visual(images()))
    normed = kind != "attentional pooler"
    expected = visual.forward_intermediates(
        images(), indices=1, output_fmt="NCHW", normalize_intermediates=normed
    )["image_intermediates"][0]
    torch.testing.assert_close(tower.grid(images()), expected.permute(0, 2, 3, 1))


@torch.no_grad()
def test_a_resnet_at_another_size_has_resized_positions(resnet):
    """Compare with open_clip's attention pool and positions from its function for ViTs."""
    pooled = image_tower(resnet).pooled(images(96, 160))
    state = {"visual.positional_embedding": resnet.attnpool.positional_embedding.data}
    grid: Any = SimpleNamespace(visual=SimpleNamespace(grid_size=(3, 5)))
    resize_pos_embed(state, grid)
    resnet.attnpool.positional_embedding.data = state["visual.positional_embedding"]
    torch.testing.assert_close(pooled, resnet(images(96, 160)))


@torch.no_grad()
def test_a_vit_at_another_size_equals_open_clips_built_for_it(tiny_transformer: Path):
    source = f"local-dir:{tiny_transformer}"
    tower = image_tower(open_clip.create_model(source).eval().visual)
    for size in ((96, 160), (48, 64)):
        built = open_clip.create_model(source, force_image_size=size).eval().visual
        torch.testing.assert_close(tower.pooled(images(*size)), built(images(*size)))
        assert tower.grid(images(*size)).shape == (2, size[0] // 16, size[1] // 16, 48)


@torch.no_grad()
@pytest.mark.parametrize("kind", VIT_KINDS)
def test_a_vit_ignores_pixels_beyond_its_last_whole_patch_as_open_clip_does(kind: str):
    torch.manual_seed(0)
    visual = VisionTransformer(**{**VIT, "image_size": 70}, **VIT_KINDS[kind]).eval()
    tower = image_tower(visual)
    torch.testing.assert_close(tower.pooled(images(70, 70)), visual(images(70, 70)))
    for features in (tower.grid, tower.dense):
        assert features(images(70, 70)).shape[:3] == (2, 4, 4)
        torch.testing.assert_close(
            features(images(70, 70)), features(images(70, 70)[:, :, :64, :64])
        )


@torch.no_grad()
@pytest.mark.parametrize("kind", VIT_KINDS)
def test_padding_does_not_change_a_vits_features(vit, kind: str):
    tower = image_tower(vit(kind))
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[0, :3, :2] = mask[1] = True
    one, other = images(), images()
    other[0, :, 48:] = other[0, :, :, 32:] = 3.0
    for features in (tower.pooled, tower.grid, tower.dense):
        first, second = features(one, mask), features(other, mask)
        if first.ndim == 4:
            first, second = first[mask], second[mask]
        torch.testing.assert_close(first, second)
        torch.testing.assert_close(features(one, torch.ones_like(mask)), features(one))
    assert (tower.pooled(one) - tower.pooled(other))[0].abs().max() > 1e-3


@torch.no_grad()
def test_padding_is_excluded_from_a_resnets_pooling(resnet):
    tower: Any = image_tower(resnet)
    grid = torch.randn(2, 3, 5, 512, generator=torch.Generator().manual_seed(2))
    mask = torch.zeros(2, 3, 5, dtype=torch.bool)
    mask[0, :2, :3] = mask[1] = True
    pooled = tower.pool(grid, mask)
    torch.testing.assert_close(pooled[1:], tower.pool(grid)[1:])
    grid[0, 2:] = grid[0, :, 3:] = 9.0
    torch.testing.assert_close(tower.pool(grid, mask), pooled)


@torch.no_grad()
def test_dense_cells_of_a_resnet_equal_the_pooling_of_one_cell(resnet):
    """Attention pooling over a single token returns that token's dense feature."""
    tower = image_tower(resnet)
    pool = resnet.attnpool
    pool.positional_embedding.data = torch.zeros(2, 512)
    cell = tower.grid(images())[:, 1, 0]  # (N, C), equal to its own mean
    expected = F.normalize(pool(cell[:, :, None, None]), dim=-1)
    torch.testing.assert_close(tower.dense(images())[:, 1, 0], expected)


@torch.no_grad()
def test_dense_patches_attend_to_themselves_in_the_last_block(vit):
    visual = vit("class token")
    x = visual._embeds(images())
    for block in visual.transformer.resblocks[:-1]:
        x = block(x)
    tokens = x[:, 1:].reshape(-1, 1, 48)  # one token per sequence of open_clip's attention
    tokens = visual.ln_post(visual.transformer.resblocks[-1](tokens)) @ visual.proj
    expected = F.normalize(tokens[:, 0], dim=-1).view(2, 4, 4, 32)
    torch.testing.assert_close(image_tower(visual).dense(images()), expected)


@torch.no_grad()
@pytest.mark.parametrize("kind", TIMM_KINDS)
def test_timm_towers_equal_timm(kind: str):
    name, pool, proj = TIMM_KINDS[kind]
    size = 160
    torch.manual_seed(0)
    visual = TimmModel(name, 64, size, pool=pool, proj=proj).eval()
    tower = image_tower(visual)
    native = images(size, size, count=1)
    rows = size // tower.stride[0]
    torch.testing.assert_close(tower.pooled(native), visual(native))
    assert tower.grid(native).shape[:3] == (1, rows, rows)
    wide = images(size, size + tower.stride[1], count=1)
    assert tower.pooled(wide).shape == (1, 64)
    assert tower.grid(wide).shape[1:3] == (rows, rows + 1)
    # A call at another size does not change later results.
    torch.testing.assert_close(tower.pooled(native), visual(native))
    if kind == "class token":
        with pytest.raises(ValueError, match="pooling 'token'"):
            tower.dense(native)
    else:
        assert tower.dense(wide).shape == (1, rows, rows + 1, 64)
    mask = torch.ones(1, rows, rows, dtype=torch.bool)
    for features in (tower.pooled, tower.grid, tower.dense):
        with pytest.raises(ValueError, match="does not support masked padding"):
            features(native, mask)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "pool", "proj", "size"),
    [("vit_tiny_patch16_224", "map", "none", 70), ("test_convnext", "", "linear", 168)],
)
def test_timm_towers_ignore_pixels_beyond_their_last_whole_cell(
    name: str, pool: str, proj: str, size: int
):
    torch.manual_seed(0)
    visual = TimmModel(name, None if pool else 64, size, pool=pool, proj=proj).eval()
    if pool:
        visual.trunk.set_input_size(img_size=size)
    tower = image_tower(visual)
    rows = size // tower.stride[0]
    assert size % tower.stride[0]
    torch.testing.assert_close(tower.pooled(images(size, size)), visual(images(size, size)))
    assert tower.grid(images(size, size)).shape[:3] == (2, rows, rows)
    assert tower.dense(images(size, size)).shape[:3] == (2, rows, rows)


@torch.no_grad()
def test_a_timm_tower_that_pads_images_to_whole_cells_has_no_grid_of_others():
    torch.manual_seed(0)
    visual = TimmModel("test_resnet", 64, 168, pool="avg", proj="linear").eval()
    tower = image_tower(visual)
    torch.testing.assert_close(tower.pooled(images(168, 168)), visual(images(168, 168)))
    with pytest.raises(ValueError, match=r"168 x 168 pixels; give .* multiples of 32 x 32"):
        tower.grid(images(168, 168))
    assert tower.grid(images(160, 160)).shape[:3] == (2, 5, 5)


@torch.no_grad()
def test_dense_cells_of_a_mean_pooling_tower_average_to_the_pooled_features():
    """The head is linear after the mean, so pooled features are the mean of projected cells."""
    torch.manual_seed(0)
    visual = TimmModel("test_vit", 24, 160, pool="avg", proj="linear").eval()
    tower = image_tower(visual)
    visual.trunk.fc_norm = torch.nn.Identity()
    cells = tower.grid(images(160, 160)) @ visual.head.proj.weight.T
    torch.testing.assert_close(tower.pooled(images(160, 160)), cells.mean((1, 2)))
    torch.testing.assert_close(tower.dense(images(160, 160)), F.normalize(cells, dim=-1))


def test_an_unknown_tower_is_refused():
    with pytest.raises(ValueError, match="Linear"):
        image_tower(torch.nn.Linear(2, 2))

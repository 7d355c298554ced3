from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.grids import _value_path, dense_features, grid_features
from encoders.loading import load_model


@pytest.fixture(scope="session")
def visual(tiny_clip: Path):
    model, _, _ = load_model(str(tiny_clip), None)
    return model.visual


def images(height: int = 64, width: int = 64) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_grid_is_open_clips_last_feature_map(visual):
    with torch.no_grad():
        found = grid_features(visual, images())
        extra = {"normalize_intermediates": True} if hasattr(visual, "ln_post") else {}
        expected = visual.forward_intermediates(images(), indices=1, output_fmt="NCHW", **extra)
    expected = expected["image_intermediates"][0].permute(0, 2, 3, 1)
    torch.testing.assert_close(found, expected)


def test_a_resnet_takes_any_size_and_a_transformer_says_no(visual):
    with torch.no_grad():
        if hasattr(visual, "attnpool"):
            assert grid_features(visual, images(96, 160)).shape == (2, 3, 5, 512)
            assert dense_features(visual, images(96, 160)).shape == (2, 3, 5, 32)
        else:
            with pytest.raises(ValueError, match="64 x 64 pictures, not 96 x 160"):
                grid_features(visual, images(96, 160))


def test_a_block_without_neighbours_is_its_value_path(tiny_transformer: Path):
    model, _, _ = load_model(str(tiny_transformer), None)
    block = model.visual.transformer.resblocks[-1]
    tokens = torch.randn(5, 1, 48, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(_value_path(block, tokens), block(tokens))


def test_dense_features_equal_pooling_over_one_place(tiny_resnet: Path):
    """A pooling attention that sees one token only gives that token's dense feature."""
    visual = load_model(str(tiny_resnet), None)[0].visual
    with torch.no_grad():
        places = grid_features(visual, images())  # (2, 2, 2, 512)
        pool = visual.attnpool
        one = places[:, 1, 0]
        query = torch.stack([one, one])  # (tokens, N, C): its mean and itself are the same
        attended, _ = torch.nn.functional.multi_head_attention_forward(
            query=query[:1],
            key=query,
            value=query,
            embed_dim_to_check=512,
            num_heads=pool.num_heads,
            q_proj_weight=pool.q_proj.weight,
            k_proj_weight=pool.k_proj.weight,
            v_proj_weight=pool.v_proj.weight,
            in_proj_weight=None,
            in_proj_bias=torch.cat([pool.q_proj.bias, pool.k_proj.bias, pool.v_proj.bias]),
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=pool.c_proj.weight,
            out_proj_bias=pool.c_proj.bias,
            use_separate_proj_weight=True,
            training=False,
        )
        found = dense_features(visual, images())[:, 1, 0]
    expected = torch.nn.functional.normalize(attended[0], dim=-1)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_another_tower_is_refused():
    with pytest.raises(ValueError, match="Linear"):
        grid_features(torch.nn.Linear(2, 2), images())

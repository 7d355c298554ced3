"""open_clip's VisionTransformer as an image tower for any input size."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from clipnav.encoders.towers.attention import allowed_keys, self_attention, value_projection
from clipnav.encoders.towers.positions import Positions
from clipnav.storage.errors import UserError

# Computes the attention of a block over tokens (N, L, C) after its first layer norm.
Attention = Callable[[Any, torch.Tensor], torch.Tensor]


class ViTTower:
    """Wrapper of open_clip's VisionTransformer; see `clipnav.encoders.towers.tower.Tower`.

    Its cells are patches. Grid features are the patch tokens after the last layer norm; with an
    attentional pooler (CoCa) they are the patch tokens before it.
    """

    layout = torch.contiguous_format

    def __init__(self, visual: Any, trained: bool = False) -> None:
        self.visual = visual
        self.stride: tuple[int, int] = tuple(visual.patch_size)
        self.multiple = self.stride
        table = visual.positional_embedding
        self._positions = Positions(table, tuple(visual.grid_size), trained)
        self._pooler = visual.attn_pool
        # If only the class token is pooled, the last block computes no other query.
        self._class_only = visual.pool_type == "tok" and self._pooler is None

    def pooled(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return pooled features (N, D)."""
        x, block, allowed = self._before_last(images, mask)
        x = run_block(block, x, allowed, queries=1 if self._class_only else None)
        return self.pool(x, mask)

    def grid(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return the patch tokens of the last block (N, h, w, C)."""
        return self.arrange(self.tokens(images, mask), images)

    def tokens(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return class token and patch tokens before the last layer norm: (N, 1 + h * w, C)."""
        x, block, allowed = self._before_last(images, mask)
        return run_block(block, x, allowed)

    def dense(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Project patch tokens that attend only to themselves in the last block (MaskCLIP)."""
        visual = self.visual
        x, block, _ = self._before_last(images, mask)
        x = run_block(block, x, torch.eye(x.shape[1], dtype=torch.bool, device=x.device))
        x = x[:, 1:]
        if self._pooler is not None:
            x = value_projection(self._pooler.attn, self._pooler.ln_k(x))
        x = visual.ln_post(x)
        x = x if visual.proj is None else x @ visual.proj
        return F.normalize(x, dim=-1).unflatten(1, self.grid_shape(images))

    def _before_last(
        self, images: torch.Tensor, mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, Any, torch.Tensor | None]:
        """Return the tokens (N, 1 + h * w, C) before the last block, the block, and its mask."""
        blocks = self.visual.transformer.resblocks
        allowed = None if mask is None else allowed_keys(mask)
        x = self.embed(images)
        for block in blocks[:-1]:
            x = run_block(block, x, allowed)
        return x, blocks[-1], allowed

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Embed the class token and the patches, with positions: (N, 1 + h * w, C)."""
        visual = self.visual
        patches = visual.conv1(images).flatten(2).transpose(1, 2)  # (N, h * w, C)
        first = visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        x = torch.cat([first, patches], dim=1)
        x = x + self._positions(*self.grid_shape(images)).to(x.dtype)
        return visual.ln_pre(visual.patch_dropout(x))

    def grid_shape(self, images: torch.Tensor) -> tuple[int, int]:
        """Return (h, w) of the patches of images (N, 3, H, W)."""
        return images.shape[2] // self.stride[0], images.shape[3] // self.stride[1]

    def pool(self, tokens: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Pool the tokens (N, 1 + h * w, C) of the last block into (N, D)."""
        pooled = self._pool(tokens, mask)
        return pooled if self.visual.proj is None else pooled @ self.visual.proj

    def arrange(self, tokens: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Rearrange the tokens of the last block as grid features (N, h, w, C)."""
        x = tokens[:, 1:]
        x = x if self._pooler is not None else self.visual.ln_post(x)
        return x.unflatten(1, self.grid_shape(images))

    def _pool(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Pool (N, 1 + h * w, C); without a mask this equals VisionTransformer._pool."""
        visual = self.visual
        if mask is None or self._class_only:
            return visual._pool(x)[0]
        if self._pooler is not None:
            if visual.attn_pool_contrastive is not None:
                raise UserError(
                    "a tower with two poolers does not support masked padding; use fit 'stretch' "
                    "or 'native'"
                )
            # open_clip's AttentionalPooler over the cells without padding.
            pooler, padding = self._pooler, ~allowed_keys(mask)[:, 0, 0]
            keys = pooler.ln_k(x)
            queries = pooler.ln_q(pooler.query).expand(len(x), -1, -1)
            states = pooler.attn(queries, keys, keys, key_padding_mask=padding, need_weights=False)[
                0
            ]
            return visual._global_pool(visual.ln_post(states))[0]
        real = mask.flatten(1)[..., None]  # (N, h * w, 1)
        last_norm = visual.ln_post
        if not visual.final_ln_after_pool:
            x, last_norm = last_norm(x), nn.Identity()
        return last_norm(((x[:, 1:] * real).sum(1) / real.sum(1)).to(x.dtype))


def run_block(
    block: Any,
    x: torch.Tensor,
    mask: torch.Tensor | None = None,
    queries: int | None = None,
    attention: Attention | None = None,
) -> torch.Tensor:
    """Run one block of an open_clip transformer.

    Args:
        x: (N, L, C).
        mask: Bool, broadcast to (N, heads, L, L); False excludes a key.
    """
    if not isinstance(block.attn, nn.MultiheadAttention):
        if mask is not None:
            mask = torch.zeros_like(mask, dtype=x.dtype).masked_fill(~mask, -torch.inf)
        return block(x, attn_mask=mask)[:, :queries]
    normed = block.ln_1(x)
    if attention is None:
        mixed = self_attention(block.attn, normed, mask, queries)
    else:
        mixed = attention(block.attn, normed)
    x = x if queries is None else x[:, :queries]
    x = x + block.ls_1(mixed)
    return x + block.ls_2(block.mlp(block.ln_2(x)))

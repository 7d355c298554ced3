"""Position embeddings of a grid of places, for grids that the weights were not trained on."""

import math

import torch
from torch.nn import functional as F


class Positions:
    """A table of learned positions, stretched over any grid.

    ViT towers and the pooling attention of CLIP's ResNets both have one: a row for the whole
    picture, then one for each place of a square grid, row by row. It is resized as open_clip does
    for ViTs when it loads them for another size (`open_clip.model.resize_pos_embed`: bicubic with
    antialiasing); open_clip does not resize the ResNets' at all.

    Args:
        table: (1 + h * w, C).
        native: (h, w) of the grid that the table is for; the square one if None.
    """

    def __init__(self, table: torch.Tensor, native: tuple[int, int] | None = None) -> None:
        side = math.isqrt(len(table) - 1)
        self._native = native or (side, side)
        self._table = table
        self._resized: dict[tuple[int, int], torch.Tensor] = {}

    def __call__(self, height: int, width: int) -> torch.Tensor:
        """Positions (1 + height * width, C) of a grid."""
        grid = height, width
        if grid == self._native:
            return self._table
        if grid not in self._resized:
            with torch.inference_mode(False):  # so that gradients may pass by later
                self._resized[grid] = self._resize(grid)
        return self._resized[grid]

    def _resize(self, grid: tuple[int, int]) -> torch.Tensor:
        whole, places = self._table.detach()[:1], self._table.detach()[1:].float()
        picture = places.T.reshape(1, -1, *self._native)  # (1, C, h, w)
        picture = F.interpolate(
            picture, size=grid, mode="bicubic", antialias=True, align_corners=False
        )
        return torch.cat([whole, picture[0].flatten(1).T.to(whole.dtype)])

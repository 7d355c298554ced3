"""TextureAtlas: the textures of a scene and their mip levels in one array, for lookup by gather."""

import numpy as np

from clipnav.storage.errors import UserError

# Bit positions of red, green and blue in a packed texel.
_SHIFTS = np.array([0, 8, 16], np.uint32)
_BYTE = np.uint32(255)


class TextureAtlas:
    """Bilinear texture lookup in the mip level that fits the footprint of a pixel.

    Args:
        textures: RGB images (H, W, 3) uint8 whose sides are powers of two.
    """

    def __init__(self, textures: tuple[np.ndarray, ...]):
        blocks: list[np.ndarray] = []
        offsets, widths, heights, firsts, counts = [], [], [], [], []
        total = 0
        for number, texture in enumerate(textures):
            firsts.append(len(offsets))
            for level in _mip_levels(number, texture):
                offsets.append(total)
                heights.append(level.shape[0])
                widths.append(level.shape[1])
                total += level.shape[0] * level.shape[1]
                blocks.append(_pack(level))
            counts.append(len(offsets) - firsts[-1])
        self._texels = np.concatenate(blocks)
        self._offset = np.array(offsets, np.int32)
        self._width = np.array(widths, np.int32)
        self._height = np.array(heights, np.int32)
        self._first = np.array(firsts, np.int32)
        self._count = np.array(counts, np.int32)

    def sample(self, texture: np.ndarray, uv: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        """Return filtered colours.

        Args:
            texture: (N,) index of each sample's texture.
            uv: (2, N) float32 periodic coordinates; v = 0 is the top row of the image.
            footprint: (N,) size of a pixel in texels of the full-size texture.

        Returns:
            (3, N) float32 in 0..255.
        """
        level = np.log2(np.maximum(footprint, 1.0)) + 0.3
        level = self._first[texture] + np.minimum(level.astype(np.int32), self._count[texture] - 1)
        level = level.astype(np.intp)  # converted once instead of by each gather
        width, height = self._width[level], self._height[level]
        x = uv[0] * width - np.float32(0.5)
        y = uv[1] * height - np.float32(0.5)
        column, row = np.floor(x), np.floor(y)
        fx, fy = (x - column).astype(np.float32), (y - row).astype(np.float32)
        column, row = column.astype(np.int32), row.astype(np.int32)
        left, right = column & (width - 1), (column + 1) & (width - 1)
        base = self._offset[level]
        top = base + (row & (height - 1)) * width
        bottom = base + ((row + 1) & (height - 1)) * width
        corners = (top + left, top + right, bottom + left, bottom + right)
        texels = [self._texels[corner] for corner in corners]
        colour = np.empty((3, len(footprint)), np.float32)
        # One channel at a time, because numpy is slow on arrays with a short last axis.
        for number, channel in enumerate(colour):
            a, b, c, d = (_channel(texel, number) for texel in texels)
            channel[:] = _mix(_mix(a, b, fx), _mix(c, d, fx), fy)
        return colour


def _channel(texels: np.ndarray, number: int) -> np.ndarray:
    """Return the (N,) float32 red, green or blue values of packed texels (N,)."""
    return ((texels >> _SHIFTS[number]) & _BYTE).astype(np.float32)


def _mix(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    b -= a
    b *= weight
    b += a
    return b


def _pack(image: np.ndarray) -> np.ndarray:
    """Pack (H, W, 3) uint8 into (H*W,) uint32, so that one gather reads a whole texel."""
    channels = image.reshape(-1, 3).astype(np.uint32)
    return (channels << _SHIFTS).sum(axis=1, dtype=np.uint32)


def _mip_levels(number: int, texture: np.ndarray) -> list[np.ndarray]:
    height, width = texture.shape[:2]
    if height & (height - 1) or width & (width - 1):
        raise UserError(
            f"texture {number} is {width}x{height}; make both sides a power of two (256, 512, ...)"
        )
    level = texture.astype(np.float32)
    levels = [texture]
    while min(level.shape[:2]) > 1:
        level = (level[::2] + level[1::2]) / 2
        level = (level[:, ::2] + level[:, 1::2]) / 2
        levels.append(np.rint(level).astype(np.uint8))
    return levels

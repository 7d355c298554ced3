"""What the frozen part of a continuous agent makes of its pictures."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from clipnav.encoders.clip import ClipEncoder
from clipnav.envs.base.vector_env import Observation


class Seen(NamedTuple):
    """Features of N pictures.

    Attributes:
        rgb: (N, cells, C) float16 grid features.
        depth: (N, P, P) float16 depth in 0..1.
    """

    rgb: np.ndarray
    depth: np.ndarray


class FrozenFeatures:
    """Grid features of colour pictures, and small depth pictures."""

    def __init__(self, encoder: ClipEncoder, depth_pixels: int, vision: bool = True) -> None:
        self._encoder, self._pixels, self._vision = encoder, depth_pixels, vision
        height, width = encoder.image_size
        blank = np.zeros((1, height, width, 3), np.uint8)
        _, rows, columns, channels = encoder.grid(blank).shape
        self.grid = rows * columns, channels

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width in pixels of the pictures to draw."""
        return self._encoder.image_size

    @property
    def key(self) -> dict[str, str]:
        """Values that determine the features, for caches."""
        return {
            "encoder": self._encoder.weights_sha256,
            "precision": self._encoder.precision,
            "depth_pixels": str(self._pixels),
        }

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata of the weights of an agent on these features."""
        return {"encoder": self._encoder.name, "encoder_weights": self._encoder.weights_sha256}

    def of(self, observation: Observation, rows: np.ndarray) -> Seen:
        """Return the features of some rows (N,) of an observation with "rgb" and "depth"."""
        if not self._vision:
            return Seen(
                np.zeros((len(rows), *self.grid), np.float16),
                np.zeros((len(rows), self._pixels, self._pixels), np.float16),
            )
        grid = self._encoder.grid(observation["rgb"][rows])
        depth = torch.from_numpy(observation["depth"][rows][..., 0])[:, None]
        small = functional.adaptive_avg_pool2d(depth, self._pixels)[:, 0]
        rgb = grid.reshape(len(rows), *self.grid).astype(np.float16)
        return Seen(rgb, small.numpy().astype(np.float16))

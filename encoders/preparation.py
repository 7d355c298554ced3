"""Preprocessing of images for an image tower: resizing, cropping or padding, and normalisation."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image

from clipnav.storage.errors import UserError

Images = np.ndarray | Sequence[Image.Image | np.ndarray]
Fit = Literal["center_crop", "stretch", "pad", "native"]
Size = tuple[int, int]
# Pixels of a batch: those of 64 images at the input size of CLIP's first models.
_BATCH_PIXELS = 64 * 224 * 224
_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class PreparedBatch:
    """Preprocessed images of one size.

    Attributes:
        indices: Indices of the images in the input.
        pixels: (N, 3, H, W) float32, normalised, on the CPU or the device of the `Preparation`;
            padding is 0, which is the mean colour.
        real: (N, 2) rows and columns without padding, from the upper left corner.
    """

    indices: list[int]
    pixels: torch.Tensor
    real: np.ndarray


class Preparation:
    """Preprocessing of images for one tower.

    Args:
        multiple: Required divisors of (height, width) other than the model's input size, see
            `clipnav.encoders.towers.tower.Tower`.
        stride: (height, width) in pixels of a grid cell, the smallest size of an image.
    """

    def __init__(
        self, config: Any, multiple: Size, stride: Size, device: str | torch.device = "cpu"
    ) -> None:
        self._config = config
        self._multiple = multiple
        self._stride = stride
        self._device = device
        self._mean = torch.tensor(config.mean).view(3, 1, 1)
        self._std = torch.tensor(config.std).view(3, 1, 1)
        self._resampling = _RESAMPLING.get(config.interpolation, Image.Resampling.BICUBIC)

    def batches(self, images: Images, size: Size | None, fit: Fit) -> Iterator[PreparedBatch]:
        """Preprocess images and yield them in batches of one size.

        Args:
            size: (height, width) in pixels; None for the encoder's input size, or, with "native",
                for no upper bound.
            fit: How an image is brought to `size`.
                * "center_crop": the preprocessing of the model's training; for CLIP, resize the
                  shorter side and crop the centre.
                * "stretch": resize the whole image, ignoring its aspect ratio.
                * "pad": resize the whole image, keep its aspect ratio, and pad at the right or
                  bottom.
                * "native": keep the size of the image, reduced to fit into `size` if that is given,
                  and rounded to the multiples that the tower requires.
        """
        check_images(images)
        if fit not in get_args(Fit):
            raise UserError(f"fit {fit!r} is unknown; use one of {', '.join(get_args(Fit))}")
        own: Size = tuple(self._config.size)
        if fit != "native":
            size = size or own
        # A tower accepts its own size, even if that is not a multiple of its stride (SigLIP at 384
        # with patches of 14): as in open_clip, no cell covers the remaining pixels.
        if size is not None and size != own:
            for side, multiple, stride in zip(size, self._multiple, self._stride, strict=True):
                if side % multiple or side < stride:
                    raise UserError(
                        f"size {size[0]} x {size[1]} does not fit this tower; give multiples of "
                        f"{self._multiple[0]} x {self._multiple[1]} pixels, at least {stride}"
                    )
        groups: dict[Size, list[int]] = {}
        for index, image in enumerate(images):
            target = self._native_size(image, size) if fit == "native" else size
            groups.setdefault(target, []).append(index)  # pyright: ignore[reportArgumentType]
        for target, indices in groups.items():
            step = max(1, _BATCH_PIXELS // math.prod(target))
            for start in range(0, len(indices), step):
                yield self._batch(images, indices[start : start + step], target, fit)

    def _batch(self, images: Images, indices: list[int], size: Size, fit: Fit) -> PreparedBatch:
        real = np.tile(np.array(size), (len(indices), 1))
        if isinstance(images, np.ndarray) and images.shape[1:3] == size:
            # Images of the target size need no resizing with any `fit`: convert the batch at once.
            # Bytes are a quarter of the data that a GPU would have to receive as float32.
            chosen = np.ascontiguousarray(images[indices[0] : indices[-1] + 1])
            pixels = torch.from_numpy(chosen).to(self._device).permute(0, 3, 1, 2)
            return PreparedBatch(indices, self._normalised(pixels), real)
        for index in indices:
            image = images[index]
            if isinstance(image, Image.Image):
                image.load()  # two threads must not decode a file, if the image occurs twice
        if fit == "center_crop":
            from open_clip.transform import image_transform_v2

            transform: Any = image_transform_v2(replace(self._config, size=size), is_train=False)
            prepared = _in_threads(lambda index: transform(_as_pil(images[index])), indices)
            return PreparedBatch(indices, torch.stack(prepared), real)
        pixels = torch.zeros(len(indices), 3, *size)

        def prepare(row: int) -> None:
            image = _as_pil(images[indices[row]]).convert("RGB")
            if fit == "pad":
                real[row] = _inside(image.height, image.width, size)
            height, width = (int(side) for side in real[row])
            if image.size != (width, height):
                image = image.resize((width, height), self._resampling)
            content = torch.from_numpy(np.array(image)).permute(2, 0, 1)
            pixels[row, :, :height, :width] = self._normalised(content)

        _in_threads(prepare, range(len(indices)))
        return PreparedBatch(indices, pixels, real)

    def _normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return images (..., 3, H, W) uint8 as float32 with the mean and spread of the model."""
        mean, std = self._mean.to(pixels.device), self._std.to(pixels.device)
        return (pixels.float() / 255 - mean) / std

    def _native_size(self, image: Image.Image | np.ndarray, bound: Size | None) -> Size:
        is_pil = isinstance(image, Image.Image)
        height, width = (image.height, image.width) if is_pil else image.shape[:2]
        if bound is not None:
            rows, columns = (b - b % m for b, m in zip(bound, self._multiple, strict=True))
            if height > rows or width > columns:
                height, width = _inside(height, width, (rows, columns))
        sides = zip((height, width), self._multiple, self._stride, strict=True)
        height, width = (max(round(side / m) * m, least) for side, m, least in sides)
        return height, width


def check_images(images: Images) -> None:
    """Check that arrays are uint8 RGB, and that images of Pillow have 8 bits per channel."""
    if len(images) == 0:
        raise UserError("no images to encode; give at least one")
    if isinstance(images, np.ndarray) and images.ndim != 4:
        raise UserError(f"images must be (N, H, W, 3), not {images.shape}; add a leading axis")
    for image in images:
        if isinstance(image, Image.Image):
            if image.mode.startswith(("I", "F")):  # Pillow would clip their values at 255
                raise UserError(
                    f"images must have 8 bits per channel, not mode {image.mode}; convert them"
                )
            continue
        if isinstance(image, str | Path):
            raise UserError(f"images must be opened, not names of files; open {image} with Pillow")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UserError(
                f"images must be uint8 RGB (H, W, 3), not {image.dtype} {image.shape}; convert them"
            )


def _in_threads(function: Callable[[int], Any], items: Sequence[int]) -> list[Any]:
    """Apply a function in as many threads as torch has; Pillow releases the GIL."""
    threads = min(torch.get_num_threads(), len(items))
    if threads == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))


def _as_pil(image: Image.Image | np.ndarray) -> Image.Image:
    return image if isinstance(image, Image.Image) else Image.fromarray(image)


def _inside(height: int, width: int, size: Size) -> Size:
    """Return the largest size with this aspect ratio that fits into `size`."""
    scale = min(size[0] / height, size[1] / width)
    return max(1, round(height * scale)), max(1, round(width * scale))

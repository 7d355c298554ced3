"""CLIP as an encoder of images and sentences, with the preprocessing that belongs to it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from clipnav.encoders.precision import (
    DTYPES,
    Precision,
    choose_precision,
    fold_batch_norms,
    matmul_precision,
)
from clipnav.encoders.preparation import Fit, Images, Preparation, PreparedBatch
from clipnav.encoders.towers.tower import Tower, image_tower
from clipnav.encoders.weights.loading import load_model, weights_sha256
from clipnav.encoders.weights.model_config import height_width
from clipnav.storage.errors import UserError

_SENTENCES = 64
# Takes images (N, 3, H, W) and a mask, see `clipnav.encoders.towers.tower.Tower`.
_Encode = Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]


class MaskedGrid(NamedTuple):
    """Grid features with a mask of the cells that are covered by an image.

    Attributes:
        features: (N, h, w, C) float32; 0 in cells that are padding.
        mask: (N, h, w) bool; False in cells that are padding.
    """

    features: np.ndarray
    mask: np.ndarray


class ClipEncoder:
    """A CLIP for inference; `ClipEncoder.load` builds one.

    Images are RGB: a uint8 array (N, H, W, 3), or a list of PIL images or arrays (H, W, 3) of any
    sizes. By default they are resized and cropped as in the training of the model; `size` (height,
    width) and `fit` change that, see `clipnav.encoders.preparation.Preparation.batches`. Position
    embeddings are resized to match. All results are float32.

    Attributes:
        name: Name of the model, recorded in the metadata of feature stores.
        model: The open_clip model.
        tower: The image tower, `clipnav.encoders.towers.tower.Tower`.
        preparation: Preprocessing of images for the tower,
            `clipnav.encoders.preparation.Preparation`.
        device: Device of the model.
        precision: Precision of the image tower: "fp32", "medium", "bf16" or "fp16".
        weights_sha256: SHA-256 digest of the float32 weights, and of the settings that change the
            features of images but not the weights, such as QuickGELU and the preprocessing, where
            they are not open_clip's defaults.
        preprocessing: open_clip's preprocessing: size, mean, standard deviation, interpolation etc.
        embed_dim: D, the width of pooled features and of text features.
        image_size: (height, width) in pixels of the tower's input.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Callable[..., torch.Tensor],
        name: str,
        precision: str = "auto",
        device: str | torch.device | None = None,
        compiled: bool = False,
    ) -> None:
        from open_clip.transform import PreprocessCfg

        self.name = name
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.precision: Precision = choose_precision(precision, self.device)
        self.weights_sha256 = weights_sha256(model)
        self.model = model.eval()
        visual = self.model.visual
        size = visual.image_size
        self.image_size: tuple[int, int] = height_width(size)
        # Fields that the model does not set keep open_clip's defaults, such as OpenAI's mean.
        config = PreprocessCfg(**{**getattr(visual, "preprocess_cfg", {}), "size": size})
        self.preprocessing: dict[str, Any] = vars(config)
        self.tower: Tower = image_tower(visual)
        if self.precision != "fp32":
            fold_batch_norms(visual)
        self.model.to(self.device)
        # On a CPU the text tower stays float32: nn.MultiheadAttention is slow in bfloat16 there.
        halved = visual if self.device.type == "cpu" else self.model
        halved.to(DTYPES[self.precision], memory_format=self.tower.layout)
        chosen = replace(config, size=self.image_size)
        self.preparation = Preparation(chosen, self.tower.multiple, self.tower.stride, self.device)
        self._pooled: _Encode = self.tower.pooled
        if compiled:
            # Freezing lets the compiler choose the memory layout of the weights.
            pooled = _Pooled(self.tower)
            self._pooled = torch.compile(pooled, dynamic=False, options={"freezing": True})
        self._tokenizer = tokenizer
        self.embed_dim: int = self._encode_texts(["a room"]).shape[1]

    @classmethod
    def load(
        cls,
        name_or_path: str,
        pretrained: str | None = None,
        precision: str = "auto",
        device: str | torch.device | None = None,
        compiled: bool = False,
        random_weights: bool = False,
    ) -> "ClipEncoder":
        """Load any CLIP that open_clip can load.

        Args:
            name_or_path: "house_clip" (shipped with the project), a folder (with or without
                "local-dir:"), an open_clip name such as "RN50", "hf-hub:...", or
                "efficientnet-lite0" (ImageNet's labels, no text tower).
            pretrained: For an open_clip name, a tag ("openai") or a weight file.
            precision: "fp32"; "medium": float32 weights, matrix products by oneDNN; "bf16" or
                "fp16": type of the image tower's weights and activations; "auto": the fastest one
                that the device supports in hardware, see `clipnav.encoders.precision`.
            device: A torch device; by default the GPU if there is one.
            compiled: Compile `pooled` with torch.compile. This requires a C++ compiler and takes up
                to a minute at the first batch of each size; use it for thousands of images.
            random_weights: Initialise the weights at random with a fixed seed instead of loading
                them; "/random" is appended to the name.

        Raises:
            FileNotFoundError: A folder or file is missing.
            ModuleNotFoundError: The package with the weights is not installed.
            UserError: Model, weights or precision are unknown, or a file is damaged.
            ConnectionError: The weights cannot be downloaded.
        """
        model, tokenizer, name = load_model(name_or_path, pretrained, random_weights)
        return cls(model, tokenizer, name, precision, device, compiled)

    def pooled(
        self, images: Images, size: tuple[int, int] | None = None, fit: Fit = "center_crop"
    ) -> np.ndarray:
        """Return features of whole images.

        Returns:
            (N, D), not normalised, as CLIP-ViL feeds them to its agents.
        """
        outputs = np.empty((len(images), self.embed_dim), np.float32)
        for batch in self.preparation.batches(images, size, fit):
            outputs[batch.indices], _ = self._encode(batch, self._pooled, fit)
        return outputs

    def grid(
        self, images: Images, size: tuple[int, int] | None = None, fit: Fit = "center_crop"
    ) -> np.ndarray:
        """Return grid features, the feature maps before pooling: (N, h, w, C).

        With `fit` "pad" or "native" an image may cover less than (h, w) cells; features of the
        other cells are 0, and `masked_grid` returns their mask. See
        `clipnav.encoders.towers.tower`.
        """
        return self.masked_grid(images, size, fit).features

    def dense(
        self, images: Images, size: tuple[int, int] | None = None, fit: Fit = "center_crop"
    ) -> np.ndarray:
        """Return dense features, unit vectors of cells comparable with `text`: (N, h, w, D)."""
        return self.masked_dense(images, size, fit).features

    def masked_grid(
        self, images: Images, size: tuple[int, int] | None = None, fit: Fit = "center_crop"
    ) -> MaskedGrid:
        """Return `grid` with the mask of cells that are not padding."""
        return self._cells(images, size, fit, self.tower.grid)

    def masked_dense(
        self, images: Images, size: tuple[int, int] | None = None, fit: Fit = "center_crop"
    ) -> MaskedGrid:
        """Return `dense` with the mask of cells that are not padding."""
        return self._cells(images, size, fit, self.tower.dense)

    def text(self, sentences: Sequence[str]) -> np.ndarray:
        """Return unit vectors of sentences: (N, D).

        Raises:
            UserError: The encoder has no text tower.
        """
        if isinstance(sentences, str):
            raise UserError("text() takes a list of sentences, not one string")
        if getattr(self.model, "images_only", False):
            raise UserError(
                f"{self.name} encodes images only; use an encoder that is trained with sentences, "
                "such as house_clip"
            )
        return self._encode_texts(sentences)

    def _encode_texts(self, sentences: Sequence[str]) -> np.ndarray:
        outputs = []
        with torch.inference_mode(), matmul_precision(self.precision):
            for start in range(0, len(sentences), _SENTENCES):
                tokens = self._tokenizer(list(sentences[start : start + _SENTENCES]))
                features = self.model.encode_text(tokens.to(self.device), normalize=True)
                outputs.append(features.float().cpu().numpy())
        return np.concatenate(outputs) if outputs else np.zeros((0, self.embed_dim), np.float32)

    def prepared(
        self, batch: PreparedBatch, fit: Fit
    ) -> tuple[torch.Tensor, torch.Tensor | None, np.ndarray]:
        """Move a batch to the device and build its masks.

        Returns:
            Images (N, 3, H, W); the mask for the tower, None where nothing is padded; and the mask
            (N, h, w) of cells that are not padding.
        """
        layout = self.tower.layout
        pixels = batch.pixels.to(self.device, DTYPES[self.precision], memory_format=layout)
        rows, columns = self.tower.grid_shape(pixels)
        # (N, 2) cells; one that is partly covered by the image counts.
        covered = -(-batch.real // np.array(self.tower.stride))
        mask = (np.arange(rows)[None, :, None] < covered[:, :1, None]) & (
            np.arange(columns)[None, None] < covered[:, 1:, None]
        )
        tower_mask = torch.from_numpy(mask).to(self.device) if fit == "pad" else None
        return pixels, tower_mask, mask

    def _cells(
        self, images: Images, size: tuple[int, int] | None, fit: Fit, encode: _Encode
    ) -> MaskedGrid:
        parts = []
        for batch in self.preparation.batches(images, size, fit):
            parts.append((batch.indices, *self._encode(batch, encode, fit)))
        rows, columns = (max(part[2].shape[axis] for part in parts) for axis in (1, 2))
        width = parts[0][1].shape[-1]
        features = np.zeros((len(images), rows, columns, width), np.float32)
        mask = np.zeros((len(images), rows, columns), bool)
        for indices, part_features, part_mask in parts:
            target = np.s_[indices, : part_mask.shape[1], : part_mask.shape[2]]
            features[target] = part_features * part_mask[..., None]
            mask[target] = part_mask
        return MaskedGrid(features, mask)

    def _encode(
        self, batch: PreparedBatch, encode: _Encode, fit: Fit
    ) -> tuple[np.ndarray, np.ndarray]:
        pixels, tower_mask, mask = self.prepared(batch, fit)
        with torch.inference_mode(), matmul_precision(self.precision):
            return encode(pixels, tower_mask).float().cpu().numpy(), mask


class _Pooled(nn.Module):
    """A tower's `pooled` as a module, so that the compiler can treat its weights as constants."""

    def __init__(self, tower: Tower) -> None:
        super().__init__()
        self.visual = tower.visual
        self._tower = tower

    def forward(self, images: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        return self._tower.pooled(images, mask)

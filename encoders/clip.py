"""CLIP as an encoder of pictures and sentences, with its own preprocessing."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from encoders.precision import (
    DTYPES,
    Precision,
    choose_precision,
    fold_batch_norms,
    matmul_precision,
)
from encoders.preparation import Fit, Images, Preparation, PreparedBatch
from encoders.towers.towers import Tower, image_tower
from encoders.weights.loading import load_model, weights_sha256

_SENTENCES = 64
# Takes pictures (N, 3, H, W) and the mask of their real places, see `encoders.towers.towers.Tower`.
_Encode = Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]


class MaskedGrid(NamedTuple):
    """Features of places, and which places are real.

    Attributes:
        features: (N, h, w, C) float32; 0 where no picture is.
        mask: (N, h, w) bool, True where one is.
    """

    features: np.ndarray
    mask: np.ndarray


class ClipEncoder:
    """A CLIP for inference. Make one with `ClipEncoder.load`.

    Pictures are RGB, as a uint8 array (N, H, W, 3) or a list of PIL images or arrays (H, W, 3) of
    any sizes. They are resized as the encoder's training had it unless `size` (height, width) or
    `fit` say otherwise, see `encoders.preparation.Preparation.batches`; positions are resized with
    them. Everything returned is float32.

    Attributes:
        name: What was loaded, for people and for the metadata of features.
        model: The open_clip model.
        tower: Its image tower, `encoders.towers.towers.Tower`.
        preparation: Makes pictures ready for it, `encoders.preparation.Preparation`.
        device: Where it computes.
        precision: "fp32", "medium", "bf16" or "fp16", how exactly the image tower computes.
        weights_sha256: Digest of the float32 weights.
        preprocessing: Size, mean, standard deviation, interpolation and so on.
        embed_dim: D, the width of pooled and text features.
        image_size: (height, width) in pixels that the encoder takes.
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
        self.image_size: tuple[int, int] = (size, size) if isinstance(size, int) else tuple(size)
        # Fields that the model leaves out are open_clip's defaults, OpenAI's mean among them.
        config = PreprocessCfg(**{**getattr(visual, "preprocess_cfg", {}), "size": size})
        self.preprocessing: dict[str, Any] = vars(config)
        self.tower: Tower = image_tower(visual)
        self._place_model()
        self.preparation = Preparation(
            replace(config, size=self.image_size), self.tower.multiple, self.tower.stride
        )
        self._pooled = _compiled(self.tower) if compiled else self.tower.pooled
        self._tokenizer = tokenizer
        self.embed_dim: int = self.text(["a room"]).shape[1]

    @classmethod
    def load(
        cls,
        name_or_path: str,
        pretrained: str | None = None,
        precision: str = "auto",
        device: str | torch.device | None = None,
        compiled: bool = False,
    ) -> "ClipEncoder":
        """Load any CLIP that open_clip can load.

        Args:
            name_or_path: "house_clip" (shipped), a folder (with or without "local-dir:"), an
                open_clip name such as "RN50", or "hf-hub:...".
            pretrained: For an open_clip name, a tag ("openai") or a file of weights.
            precision: "fp32"; "medium": the same weights, products as oneDNN does them; "bf16" or
                "fp16", of the image tower's weights and activations; "auto" chooses the fastest
                that the device has instructions for, see `encoders.precision`.
            device: A torch device; by default the GPU if there is one.
            compiled: Compile `pooled` with torch.compile, which takes a C++ compiler and up to a
                minute at the first batch of each size; for thousands of pictures.

        Raises:
            FileNotFoundError: A folder or file is missing.
            ValueError: There is no such model, weights or precision.
            ConnectionError: The weights cannot be fetched.
        """
        model, tokenizer, name = load_model(name_or_path, pretrained)
        return cls(model, tokenizer, name, precision, device, compiled)

    def pooled(
        self, images: Images, size: tuple[int, int] | None = None, fit: Fit = "own"
    ) -> np.ndarray:
        """Features of whole pictures.

        Returns:
            (N, D), not normalised, as CLIP-ViL feeds them to its agents.
        """
        outputs = np.empty((len(images), self.embed_dim), np.float32)
        for batch in self.preparation.batches(images, size, fit):
            outputs[batch.indices], _ = self._encode(batch, self._pooled, fit)
        return outputs

    def grid(
        self, images: Images, size: tuple[int, int] | None = None, fit: Fit = "own"
    ) -> np.ndarray:
        """Feature maps before pooling: (N, h, w, C). See `encoders.towers.towers`.

        Where pictures fill less than (h, w), with `fit` "pad" or "native", features are 0;
        `masked_grid` says where.
        """
        return self.masked_grid(images, size, fit).features

    def dense(
        self, images: Images, size: tuple[int, int] | None = None, fit: Fit = "own"
    ) -> np.ndarray:
        """Unit vectors of places, comparable with `text`: (N, h, w, D)."""
        return self.masked_dense(images, size, fit).features

    def masked_grid(
        self, images: Images, size: tuple[int, int] | None = None, fit: Fit = "own"
    ) -> MaskedGrid:
        """`grid` with the mask of its real places."""
        return self._places(images, size, fit, self.tower.grid)

    def masked_dense(
        self, images: Images, size: tuple[int, int] | None = None, fit: Fit = "own"
    ) -> MaskedGrid:
        """`dense` with the mask of its real places."""
        return self._places(images, size, fit, self.tower.dense)

    def text(self, sentences: Sequence[str]) -> np.ndarray:
        """Unit vectors of sentences: (N, D)."""
        if isinstance(sentences, str):
            raise ValueError("text() takes a list of sentences, not one string")
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
        """A batch on the device.

        Returns:
            Pictures (N, 3, H, W); the mask for the tower, None where nothing is padding; and the
            mask (N, h, w) of real places.
        """
        layout = self.tower.layout
        pixels = batch.pixels.to(self.device, DTYPES[self.precision], memory_format=layout)
        rows, columns = self.tower.grid_shape(pixels)
        real = -(-batch.real // np.array(self.tower.stride))  # (N, 2) places, begun ones too
        mask = (np.arange(rows)[None, :, None] < real[:, :1, None]) & (
            np.arange(columns)[None, None] < real[:, 1:, None]
        )
        given = torch.from_numpy(mask).to(self.device) if fit == "pad" else None
        return pixels, given, mask

    def _places(
        self, images: Images, size: tuple[int, int] | None, fit: Fit, encode: _Encode
    ) -> MaskedGrid:
        parts = []
        for batch in self.preparation.batches(images, size, fit):
            parts.append((batch.indices, *self._encode(batch, encode, fit)))
        rows, columns = (max(part[2].shape[axis] for part in parts) for axis in (1, 2))
        width = parts[0][1].shape[-1]
        features = np.zeros((len(images), rows, columns, width), np.float32)
        mask = np.zeros((len(images), rows, columns), bool)
        for indices, found, real in parts:
            place = np.s_[indices, : real.shape[1], : real.shape[2]]
            features[place] = found * real[..., None]
            mask[place] = real
        return MaskedGrid(features, mask)

    def _encode(
        self, batch: PreparedBatch, encode: _Encode, fit: Fit
    ) -> tuple[np.ndarray, np.ndarray]:
        pixels, given, mask = self.prepared(batch, fit)
        with torch.inference_mode(), matmul_precision(self.precision):
            return encode(pixels, given).float().cpu().numpy(), mask

    def _place_model(self) -> None:
        """Bring the model to the device and its image tower to the precision."""
        visual = self.model.visual
        if self.precision != "fp32":
            fold_batch_norms(visual)
        self.model.to(self.device)
        # On a CPU the text tower stays float32: nn.MultiheadAttention is slow in bfloat16 there.
        halved = visual if self.device.type == "cpu" else self.model
        halved.to(DTYPES[self.precision], memory_format=self.tower.layout)


class _Pooled(nn.Module):
    """A tower's `pooled` as a module, whose weights a compiler may take for constants."""

    def __init__(self, tower: Tower) -> None:
        super().__init__()
        self.visual = tower.visual
        self._tower = tower

    def forward(self, images: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        return self._tower.pooled(images, mask)


def _compiled(tower: Tower) -> _Encode:
    """`pooled` compiled, with the weights laid out beforehand as its products want them."""
    return torch.compile(_Pooled(tower), dynamic=False, options={"freezing": True})

"""CLIP as an encoder of pictures and sentences, with its own preprocessing."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from encoders.grids import dense_features, grid_features
from encoders.loading import load_model, weights_sha256

Images = np.ndarray | Sequence[Image.Image | np.ndarray]
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_BATCH = 64


class ClipEncoder:
    """A CLIP for inference. Make one with `ClipEncoder.load`.

    Pictures are RGB, as a uint8 array (N, H, W, 3) or a list of PIL images or arrays (H, W, 3) of
    any sizes. Those that do not have the encoder's own size are resized and cropped as its training
    had it. Everything returned is float32.

    Attributes:
        name: What was loaded, for people and for the metadata of features.
        model: The open_clip model.
        device: Where it computes.
        precision: "fp32", "bf16" or "fp16": the type of weights and activations.
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
    ) -> None:
        from open_clip.transform import PreprocessCfg, image_transform_v2

        if precision not in ("auto", *_DTYPES):
            raise ValueError(f"precision {precision!r} is none of auto, {', '.join(_DTYPES)}")
        self.name = name
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if precision == "auto":
            precision = "fp16" if self.device.type == "cuda" else "fp32"
        self.precision = precision
        self.weights_sha256 = weights_sha256(model)
        # Convolutions are faster by a third when channels lie together.
        self.model = model.eval().to(
            self.device, _DTYPES[precision], memory_format=torch.channels_last
        )
        self._tokenizer = tokenizer
        visual = self.model.visual
        size = visual.image_size
        self.image_size: tuple[int, int] = (size, size) if isinstance(size, int) else tuple(size)
        # Fields that the model leaves out are open_clip's defaults, OpenAI's mean among them.
        chosen = PreprocessCfg(**{**getattr(visual, "preprocess_cfg", {}), "size": size})
        self.preprocessing: dict[str, Any] = vars(chosen)
        self._transform: Any = image_transform_v2(chosen, is_train=False)
        self._mean = torch.tensor(chosen.mean).view(3, 1, 1)
        self._std = torch.tensor(chosen.std).view(3, 1, 1)
        self.embed_dim: int = self.text(["a room"]).shape[1]

    @classmethod
    def load(
        cls,
        name_or_path: str,
        pretrained: str | None = None,
        precision: str = "auto",
        device: str | torch.device | None = None,
    ) -> "ClipEncoder":
        """Load any CLIP that open_clip can load.

        Args:
            name_or_path: "house_clip" (shipped), a folder (with or without "local-dir:"), an
                open_clip name such as "RN50", or "hf-hub:...".
            pretrained: For an open_clip name, a tag ("openai") or a file of weights.
            precision: "fp32", "bf16", "fp16"; "auto" is fp16 on a GPU and fp32 on a CPU.
            device: A torch device; by default the GPU if there is one.

        Raises:
            FileNotFoundError: A folder or file is missing.
            ValueError: There is no such model, weights or precision.
            RuntimeError: The weights cannot be fetched.
        """
        model, tokenizer, name = load_model(name_or_path, pretrained)
        return cls(model, tokenizer, name, precision, device)

    def pooled(self, images: Images) -> np.ndarray:
        """Features of whole pictures.

        Returns:
            (N, D), not normalised, as CLIP-ViL feeds them to its agents.
        """
        return self._encode(images, self.model.encode_image)

    def grid(self, images: Images) -> np.ndarray:
        """Feature maps before pooling: (N, h, w, C). See `encoders.grids`."""
        return self._encode(images, lambda batch: grid_features(self.model.visual, batch))

    def dense(self, images: Images) -> np.ndarray:
        """Unit vectors of places, comparable with `text`: (N, h, w, D). See `encoders.grids`."""
        return self._encode(images, lambda batch: dense_features(self.model.visual, batch))

    def text(self, sentences: Sequence[str]) -> np.ndarray:
        """Unit vectors of sentences: (N, D)."""
        if isinstance(sentences, str):
            raise ValueError("text() takes a list of sentences, not one string")
        outputs = []
        with torch.inference_mode():
            for start in range(0, len(sentences), _BATCH):
                tokens = self._tokenizer(list(sentences[start : start + _BATCH]))
                features = self.model.encode_text(tokens.to(self.device), normalize=True)
                outputs.append(features.float().cpu().numpy())
        return np.concatenate(outputs) if outputs else np.zeros((0, self.embed_dim), np.float32)

    def _encode(self, images: Images, encode: Callable[[torch.Tensor], torch.Tensor]) -> np.ndarray:
        _check_images(images)
        outputs = []
        with torch.inference_mode():
            for start in range(0, len(images), _BATCH):
                batch = self._preprocess(images[start : start + _BATCH])
                outputs.append(encode(batch).float().cpu().numpy())
        return np.concatenate(outputs)

    def _preprocess(self, images: Images) -> torch.Tensor:
        """Normalised batch (N, 3, H, W) on the device."""
        if isinstance(images, np.ndarray) and images.shape[1:3] == self.image_size:
            # Pictures of the right size need no resizing in any mode: one pass over the batch.
            pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
            batch = (pixels.float() / 255 - self._mean) / self._std
        else:
            pictures = [i if isinstance(i, Image.Image) else Image.fromarray(i) for i in images]
            batch = torch.stack([self._transform(picture) for picture in pictures])
        return batch.to(self.device, _DTYPES[self.precision], memory_format=torch.channels_last)


def _check_images(images: Images) -> None:
    if len(images) == 0:
        raise ValueError("no pictures to encode")
    if isinstance(images, np.ndarray) and images.ndim != 4:
        raise ValueError(f"pictures must be (N, H, W, 3), not {images.shape}; add a leading axis")
    for image in images:
        if isinstance(image, Image.Image):
            continue
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"pictures must be uint8 RGB (H, W, 3), not {image.dtype} {image.shape}"
            )

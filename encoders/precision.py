"""How exactly an image tower computes: what this processor does fast, and what is safe."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Precision = Literal["fp32", "medium", "bf16", "fp16"]
DTYPES: dict[str, torch.dtype] = {
    "fp32": torch.float32,
    "medium": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def choose_precision(precision: str, device: torch.device) -> Precision:
    """What "auto" is on a device; anything else is itself.

    The choice follows from what the processor can do and from nothing measured, so that all
    processes of a run choose alike: "fp16" on a GPU, "bf16" on a CPU with instructions for it,
    "medium" on any other.

    Raises:
        ValueError: No such precision.
    """
    if precision == "auto":
        if device.type != "cpu":
            return "fp16"
        return "bf16" if _cpu_computes_bf16() else "medium"
    if precision not in get_args(Precision):
        raise ValueError(f"precision {precision!r} is none of auto, {', '.join(DTYPES)}")
    return precision  # pyright: ignore[reportReturnType]


@contextmanager
def matmul_precision(precision: Precision) -> Iterator[None]:
    """Let products of float32 matrices be as exact as a precision says, for this process.

    "medium" lets PyTorch hand them from MKL to oneDNN, which takes half the time on AMD's
    processors; on those that have bfloat16 products it may use them within.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if precision == "medium" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def fold_batch_norms(visual: nn.Module) -> None:
    """Put each batch norm of a ModifiedResNet in evaluation mode into the convolution before it.

    This spares a pass over each feature map, and rounds once where the weights are halved later.
    Other towers stay as they are.
    """
    from open_clip.modified_resnet import ModifiedResNet

    if not isinstance(visual, ModifiedResNet):
        return
    for module in visual.modules():
        pairs = [(f"conv{i}", f"bn{i}") for i in (1, 2, 3)]
        if isinstance(module, nn.Sequential):
            pairs = [("0", "1")]  # of a block's shortcut
        for convolution_name, norm_name in pairs:
            norm = getattr(module, norm_name, None)
            convolution = getattr(module, convolution_name, None)
            if isinstance(norm, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d):
                setattr(module, convolution_name, fuse_conv_bn_eval(convolution, norm))
                setattr(module, norm_name, nn.Identity())


def _cpu_computes_bf16() -> bool:
    """Whether the processor multiplies bfloat16 matrices in hardware (AVX-512 BF16 or AMX)."""
    if not torch.backends.mkldnn.is_available():
        return False
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in names)

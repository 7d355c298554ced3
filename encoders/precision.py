"""Numerical precision of an image tower, and the choice of a fast and safe one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from clipnav.storage.errors import UserError

Precision = Literal["fp32", "medium", "bf16", "fp16"]
DTYPES: dict[str, torch.dtype] = {
    "fp32": torch.float32,
    "medium": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def choose_precision(precision: str, device: torch.device) -> Precision:
    """Resolve "auto" for a device; return any other precision unchanged.

    "auto" is "fp16" on a GPU, "bf16" on a CPU with bfloat16 instructions, and "medium" on any other
    CPU. The choice depends on the instruction set only, never on a measurement, so all processes of
    a run make the same choice.
    """
    if precision == "auto":
        if device.type != "cpu":
            return "fp16"
        return "bf16" if multiplies_bf16(device) else "medium"
    if precision not in get_args(Precision):
        raise UserError(f"precision {precision!r} is unknown; use auto, {', '.join(DTYPES)}")
    return precision  # pyright: ignore[reportReturnType]


@contextmanager
def matmul_precision(precision: Precision) -> Iterator[None]:
    """Set the precision of float32 products in this process within the context.

    "medium" makes PyTorch use oneDNN instead of MKL, which takes half the time on AMD processors;
    oneDNN may use bfloat16 products internally where the processor has them. On a GPU, only
    "medium" lets convolutions use TensorFloat-32, which PyTorch permits them by default.
    """
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("medium" if precision == "medium" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "medium"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def fold_batch_norms(visual: nn.Module) -> None:
    """Fold each batch norm of a ModifiedResNet in evaluation mode into its convolution.

    This saves a pass over each feature map, and rounds only once if the weights are converted to
    half precision afterwards. Other towers are left unchanged.
    """
    from open_clip.modified_resnet import ModifiedResNet

    if not isinstance(visual, ModifiedResNet):
        return
    for module in visual.modules():
        pairs = [(f"conv{i}", f"bn{i}") for i in (1, 2, 3)]
        if isinstance(module, nn.Sequential):
            pairs = [("0", "1")]  # the shortcut of a block
        for convolution_name, norm_name in pairs:
            norm = getattr(module, norm_name, None)
            convolution = getattr(module, convolution_name, None)
            if isinstance(norm, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d):
                setattr(module, convolution_name, fuse_conv_bn_eval(convolution, norm))
                setattr(module, norm_name, nn.Identity())


def multiplies_bf16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 matrices in hardware.

    CPUs do with AVX-512 BF16 or AMX, and NVIDIA's GPUs since Ampere.
    """
    if device.type != "cpu":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if not torch.backends.mkldnn.is_available():
        return False
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in names)

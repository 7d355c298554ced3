"""Torch devices, and the settings of torch of a training run."""

import torch

from clipnav.storage.errors import UserError


def check_device(device: str) -> None:
    """Check that a network can be computed on a device: a CPU or a CUDA device.

    Others are refused. Apple's GPUs (mps) lack float64, in which scores and losses are summed.
    """
    remedy = "choose another --device, such as cpu"
    try:
        named = torch.device(device)
    except RuntimeError as error:
        raise UserError(f"--device {device}: torch does not know this device; {remedy}") from error
    if named.type not in ("cpu", "cuda"):
        raise UserError(f"--device {device}: only cpu and cuda devices are supported; {remedy}")
    count = torch.cuda.device_count()
    # torch keeps only the last eight bits of a number: cuda:999 becomes cuda:-25, cuda:256 cuda:0.
    if named.type == "cuda" and (str(named) != device or (named.index or 0) >= count):
        raise UserError(f"--device {device}: torch detects {count} CUDA devices; {remedy}")


def set_up_torch(device: str, threads: int | None, matmul_precision: str, seed: int) -> None:
    """Check the device and set threads, precision of matrix products and the random seed."""
    check_device(device)
    if threads:
        torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(matmul_precision)
    torch.manual_seed(seed)

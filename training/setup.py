"""Torch settings of a training run."""

import torch

from clipnav.training.devices import check_device


def set_up_torch(device: str, threads: int | None, matmul_precision: str, seed: int) -> None:
    """Check the device and set threads, precision of matrix products and the random seed.

    Args:
        device: Device that networks compute on.
        threads: Processor threads; None keeps the default of torch.
        matmul_precision: Argument of `torch.set_float32_matmul_precision`.
        seed: Random seed for initial weights.

    Raises:
        UserError: torch cannot compute on the device.
    """
    check_device(device)
    if threads:
        torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(matmul_precision)
    torch.manual_seed(seed)

"""Torch devices."""

import torch

from clipnav.storage.errors import UserError


def check_device(device: str) -> None:
    """Check that a network can be computed on a device: a CPU or a CUDA device.

    Others are refused. Apple's GPUs (mps) lack float64, in which scores and losses are summed.

    Raises:
        UserError: The device is unknown, not supported or not available.
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

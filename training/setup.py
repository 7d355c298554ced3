"""Torch settings and random seeds of a training run."""

import numpy as np
import torch

from training.devices import check_device


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


def iteration_seed(seed: int, stream: int, iteration: int) -> int:
    """Return the seed of torch's random numbers in an iteration of a single process.

    Args:
        seed: Seed of the run.
        stream: Number that separates these draws from others with the same seed.
        iteration: Iteration, from 0.
    """
    return int(np.random.default_rng([seed, stream, iteration]).integers(2**63))


def rank_iteration_seed(seed: int, stream: int, iteration: int, rank: int) -> int:
    """Return the seed of torch's random numbers in an iteration of one rank.

    Arguments are those of `iteration_seed`; each rank gets a different seed.
    """
    sequence = np.random.SeedSequence((seed, stream, iteration, rank))
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)

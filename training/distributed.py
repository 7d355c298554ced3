"""Devices, and distributed training under torchrun; without it, functions serve one process."""

import gc
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from clipnav.storage.errors import UserError
from clipnav.training.allocation import keep_freed_memory

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


def check_device(device: str) -> None:
    """Check that a network can be computed on a device: a CPU or a CUDA device.

    Others are refused. Apple's GPUs (mps) lack float64, in which scores and losses are summed.
    """
    hint = "choose another --device, such as cpu"
    try:
        named = torch.device(device)
    except RuntimeError as error:
        raise UserError(f"--device {device}: torch does not know this device; {hint}") from error
    if named.type not in ("cpu", "cuda"):
        raise UserError(f"--device {device}: only cpu and cuda devices are supported; {hint}")
    count = torch.cuda.device_count()
    # torch keeps only the last eight bits of a number: cuda:999 becomes cuda:-25, cuda:256 cuda:0.
    if named.type == "cuda" and (str(named) != device or (named.index or 0) >= count):
        raise UserError(f"--device {device}: torch detects {count} CUDA devices; {hint}")


def set_up_torch(device: str, threads: int | None, matmul_precision: str, seed: int) -> None:
    """Check the device and set threads, precision of matrix products and the random seed."""
    check_device(device)
    keep_freed_memory()
    if threads:
        torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(matmul_precision)
    torch.manual_seed(seed)


def join(device: str) -> None:
    """Initialise the process group if torchrun started this process; gloo on CPUs, NCCL on GPUs.

    With device "cuda", each process uses the GPU of its local rank.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or distributed.is_initialized():
        return
    if device.startswith("cuda"):
        number, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if device != "cuda":
            raise UserError(
                f"--device {device}: each process of torchrun uses its own GPU; use --device cuda, "
                "and select GPUs with CUDA_VISIBLE_DEVICES"
            )
        if number >= count:
            raise UserError(
                f"--device cuda: local rank {number} has no GPU, as this machine has {count}; "
                "start torchrun with a lower --nproc-per-node"
            )
        torch.cuda.set_device(number)
        distributed.init_process_group("nccl")
    else:
        distributed.init_process_group("gloo")


def check_joined(shared_trainings: str) -> None:
    """Check that torchrun did not start several processes that did not `join`."""
    count = int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    if count > world_size():
        raise UserError(
            f"torchrun started {count} processes, but this training uses one; start it without "
            f"torchrun. Several processes can share: {shared_trainings}"
        )


def destroys_process_group(run: Callable[Arguments, Value]) -> Callable[Arguments, Value]:
    """Decorate a function to destroy the process group after it returns and its objects are freed.

    A DistributedDataParallel module keeps the process group, whose threads abort the process if
    they still own tensors at interpreter exit (https://github.com/pytorch/pytorch/pull/179291).
    """

    @wraps(run)
    def run_and_destroy(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:
        value = run(*args, **kwargs)
        if distributed.is_initialized():
            gc.collect()
            distributed.destroy_process_group()
        return value

    return run_and_destroy


def rank() -> int:
    """Return the rank of this process; rank 0 writes the run's folder."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def wrap_ddp(module: nn.Module, find_unused: bool = False) -> nn.Module:
    """Wrap a module so that its gradients are averaged over all ranks.

    Args:
        find_unused: Whether the loss may depend on a part of the weights only. Weights that no rank
            uses have no gradient, as in one process.
    """
    if world_size() == 1:
        return module
    return DistributedDataParallel(module, find_unused_parameters=find_unused)


def unsynchronised(module: nn.Module) -> AbstractContextManager[None]:
    """Return a context in which gradients accumulate per rank; a later backward averages them."""
    return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()


def all_gather(value: Value) -> list[Value]:
    """Gather one value per rank, in rank order."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    distributed.all_gather_object(values, value)
    return values


def on_all_ranks(read: Callable[[], Value]) -> Value:
    """Return the result of a function that reads data, or fail on all ranks if one of them fails.

    A rank that failed alone would leave the others waiting for it, with a state that is not saved.
    """
    if world_size() == 1:
        return read()
    try:
        value = read()
    except (OSError, UserError) as error:
        all_gather(str(error))
        raise
    for message in all_gather(""):
        if message:
            raise UserError(message)
    return value


def gather_rows(rows: torch.Tensor) -> torch.Tensor:
    """Concatenate the rows of all ranks, in rank order.

    Only the rows of this rank carry a gradient. For a loss over all rows, multiply it by the number
    of ranks, because `wrap_ddp` averages gradients.

    Args:
        rows: (N, W), with the same N on every rank.
    """
    if world_size() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(world_size())]
    distributed.all_gather(parts, rows.detach().contiguous())
    parts[rank()] = rows
    return torch.cat(parts)


def mean_over_ranks(number: float, device: torch.device) -> float:
    """Return the mean of a number over all ranks.

    A loss that is a sum over this many elements, divided by this mean, has the gradient of the mean
    over the elements of all ranks, because `wrap_ddp` averages gradients.
    """
    return total(number, device) / world_size()


def total(number: float, device: torch.device) -> float:
    """Return the sum of a number over all ranks."""
    if world_size() == 1:
        return number
    shared = torch.tensor(number, dtype=torch.float64, device=device)
    distributed.all_reduce(shared)
    return shared.item()

"""Several world_size that train one agent, as torchrun starts them; one alone needs none of it."""

import gc
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


def join(device: str) -> None:
    """Join the other world_size if torchrun started this one; gloo on CPUs, NCCL on GPUs.

    Of several GPUs each process takes its own, and "cuda" means that one to it.

    Raises:
        ValueError: All world_size are to share one GPU, or there are too few.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or distributed.is_initialized():
        return
    if device.startswith("cuda"):
        _take_gpu(device)
        distributed.init_process_group("nccl")
    else:
        distributed.init_process_group("gloo")


def destroys_process_group(run: Callable[Arguments, Value]) -> Callable[Arguments, Value]:
    """Make a function end what `join` began, when all that it has made is gone.

    A wrap_ddp module keeps the group of world_size, whose threads abort the process if they still
    hold tensors when the interpreter ends (https://github.com/pytorch/pytorch/pull/179291).
    """

    @wraps(run)
    def run_and_leave(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:
        value = run(*args, **kwargs)
        if distributed.is_initialized():
            gc.collect()
            distributed.destroy_process_group()
        return value

    return run_and_leave


def rank() -> int:
    """Number of this process, from 0; the first one writes the run's folder."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """How many train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def wrap_ddp(module: nn.Module) -> nn.Module:
    """The module, whose gradients are averaged over all world_size."""
    if world_size() == 1:
        return module
    return DistributedDataParallel(module)


def unsynchronised(module: nn.Module) -> AbstractContextManager[None]:
    """Within it gradients add up in each process, to be averaged by a later pass."""
    return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()


def all_gather(value: Value) -> list[Value]:
    """A value of each process, in their order."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    distributed.all_gather_object(values, value)
    return values


def _take_gpu(device: str) -> None:
    """Make "cuda" mean the GPU that torchrun numbered for this process."""
    number, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if device != "cuda":
        raise ValueError(
            f"--device {device}: under torchrun name cuda alone, of which each process takes its "
            "own; CUDA_VISIBLE_DEVICES says which there are"
        )
    if number >= count:
        raise ValueError(
            f"--device cuda: this is process {number + 1} of the machine, which has {count} GPUs; "
            "start torchrun with a lower --nproc-per-node"
        )
    torch.cuda.set_device(number)


def total(number: float, device: torch.device) -> float:
    """Sum of a number over all world_size."""
    if world_size() == 1:
        return number
    shared = torch.tensor(number, dtype=torch.float64, device=device)
    distributed.all_reduce(shared)
    return shared.item()

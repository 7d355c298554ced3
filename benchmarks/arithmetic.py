"""Lower bound of the time of an iteration: its matrix products at the machine's best rate."""

from collections.abc import Callable
from typing import Any

import torch
from measuring import rate
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from clipnav.agents.layers.recurrent import BidirectionalLSTM

_SIZE = 1024  # rows and columns of the matrices whose product is measured


def product_rate(seconds: float) -> float:
    """Return the floating-point operations per CPU second of a large float32 matrix product."""
    left, right = torch.randn(_SIZE, _SIZE), torch.randn(_SIZE, _SIZE)
    out = torch.empty(_SIZE, _SIZE)
    return rate(lambda: torch.mm(left, right, out=out), 2 * _SIZE**3, seconds)


def floating_point_operations(network: nn.Module, work: Callable[[], object]) -> float:
    """Count the operations of the matrix products in a call, backward pass included.

    torch does not count LSTMs; they are added here for the real lengths of the sequences. All other
    products include padding.
    """
    lstm = 0

    def count(module: nn.Module, inputs: tuple[Tensor, Tensor], _: Any) -> None:
        nonlocal lstm
        assert isinstance(module, BidirectionalLSTM)
        weights = sum(parameter.numel() for parameter in module.parameters())
        # An element is multiplied by each weight once forwards and twice backwards.
        lstm += 3 * 2 * weights * int(inputs[1].sum())

    modules = [part for part in network.modules() if isinstance(part, BidirectionalLSTM)]
    handles = [module.register_forward_hook(count) for module in modules]
    try:
        with FlopCounterMode(display=False) as counter:
            work()
    finally:
        for handle in handles:
            handle.remove()
    return counter.get_total_flops() + lstm

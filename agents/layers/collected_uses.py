"""Collection of what a backward pass finds at each use of a tensor, for one product at its end."""

from functools import partial
from weakref import WeakValueDictionary

import torch
from torch import Tensor

Use = tuple[Tensor, ...]


class _Pass:
    """Uses that one backward pass has collected so far."""

    def __init__(self) -> None:
        self.uses: list[Use] = []


class CollectedUses:
    """Tensors of each use, separately for every backward pass in progress.

    A pass may end before it reaches the weights: `torch.autograd.grad` with respect to inputs does
    so, and so does a pass that raises an exception. Its collection is then discarded and never
    added to that of a later pass. The two private functions of torch are those that its own
    checkpointing and FSDP use to identify passes and their ends.
    """

    def __init__(self) -> None:
        self._passes: WeakValueDictionary[int, _Pass] = WeakValueDictionary()

    def add(self, use: Use) -> None:
        """Add the tensors of a use to those of the current pass."""
        task = torch._C._current_graph_task_id()
        collected = self._passes.get(task)
        if collected is None:
            collected = self._passes[task] = _Pass()
            # The engine holds the callback, and with it the collection, until the pass ends in
            # any way; the dictionary has weak references only.
            torch.autograd.Variable._execution_engine.queue_callback(partial(_end, collected))
        collected.uses.append(use)

    def take(self) -> list[Use]:
        """Remove and return all uses of the current pass."""
        collected = self._passes.pop(torch._C._current_graph_task_id())
        uses, collected.uses = collected.uses, []
        return uses


def _end(_: _Pass) -> None:
    """Callback of the engine at the end of a pass, which releases the collection."""

"""The saved state of a run: its progress, the weights and the optimiser."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from clipnav.storage.errors import UserError, shortened
from clipnav.training import distributed
from clipnav.training.checkpoints import (
    MODEL,
    TRAINER,
    check_metadata,
    compare_metadata,
    load_trainer,
    model_metadata,
    save_trainer,
)
from clipnav.training.learners import Learner


class Progress(NamedTuple):
    """How far a run is.

    Attributes:
        iteration: Number of weight updates.
        seconds: Training time.
        best: Iteration and score of the best weights; empty before the first evaluation.
        recent: Figures that are not logged yet.
        is_due: Whether the weights still have to be evaluated: an error ended their evaluation.
        processes: Number of processes of a restored run; None in states of earlier versions.
    """

    iteration: int
    seconds: float
    best: dict[str, Any]
    recent: list[dict[str, float]]
    is_due: bool = False
    processes: int | None = None

    def check_processes(self, run: Path) -> None:
        """Check that the run can be trained further by the processes that there are.

        Each process has its own random numbers and, in most trainings, its own batch.
        """
        before, now = self.processes, distributed.world_size()
        if before not in (None, now):
            start = "without torchrun" if before == 1 else f"with torchrun and {before} processes"
            raise UserError(
                f"{run / TRAINER}: the number of processes was {before}, but here it is {now}; "
                f"resume it {start}"
            )


@contextmanager
def unchanged_buffers(network: nn.Module) -> Iterator[Callable[[], None]]:
    """Restore the buffers of a network if the block raises an error.

    Batch norms update their statistics in the forward pass. A state that is saved after an
    incomplete iteration must not contain these updates, because a resumed run repeats them.
    """
    before = [(buffer, buffer.clone()) for buffer in network.buffers()]

    @torch.no_grad()
    def restore() -> None:
        for buffer, values in before:
            buffer.copy_(values)

    try:
        yield restore
    except Exception:
        restore()
        raise


def save_state(run: Path, learner: Learner, progress: Progress) -> None:
    """Write the state of a run, from which `restore_state` resumes it."""
    state = {
        **progress._asdict(),
        "metadata": dict(learner.metadata),
        "processes": distributed.world_size(),
        "weights": learner.network.state_dict(),
        "optimiser": learner.optimiser.state_dict(),
    }
    save_trainer(run, state)


def restore_state(run: Path, learner: Learner) -> Progress:
    """Restore the weights and the optimiser of a run, and return its progress."""
    # A run that was killed between the two files has a state but no weights yet.
    if (run / MODEL).is_file():
        check_metadata(run, learner.metadata)
    state = load_trainer(run)
    # The states of earlier versions have no metadata.
    compare_metadata(run / TRAINER, state.get("metadata", learner.metadata), learner.metadata)
    try:
        learner.network.load_state_dict(state["weights"])
        learner.optimiser.load_state_dict(state["optimiser"])
        # The states of earlier versions lack fields that have a default.
        known = {**Progress._field_defaults, **state}
        return Progress(*(known[name] for name in Progress._fields))
    except (KeyError, RuntimeError, ValueError) as error:
        raise UserError(
            f"{run / TRAINER}: does not fit the data or the settings "
            f"({shortened(str(error), 400)}); resume with the data and settings of the run"
        ) from error


def restore_model(run: Path, learner: Learner, progress: Progress) -> None:
    """Write the best weights of a run that was killed between saving its state and them."""
    is_latest = bool(progress.best) and progress.best["iteration"] == progress.iteration
    if progress.best and (run / MODEL).is_file():
        saved = model_metadata(run).get("iteration")
        if not is_latest or saved in (None, str(progress.iteration)):
            return
    if progress.best and not is_latest:
        raise FileNotFoundError(
            f"{run / MODEL}: no such file, so the best weights, of iteration "
            f"{progress.best['iteration']}, are lost; train the run again"
        )
    learner.save_model(run, progress.iteration)

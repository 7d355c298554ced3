"""The saved state of a run: its progress, the weights and the optimiser."""

from pathlib import Path
from typing import Any, NamedTuple

from storage.errors import UserError, shortened
from training.checkpoints import (
    MODEL,
    TRAINER,
    check_metadata,
    load_trainer,
    model_metadata,
    save_trainer,
)
from training.learners import Learner


class Progress(NamedTuple):
    """How far a run is.

    Attributes:
        iteration: Number of weight updates.
        seconds: Training time.
        best: Iteration and score of the best weights; empty before the first evaluation.
        recent: Figures that are not logged yet.
        is_due: Whether the weights still have to be evaluated: an error ended their evaluation.
    """

    iteration: int
    seconds: float
    best: dict[str, Any]
    recent: list[dict[str, float]]
    is_due: bool = False


def save_state(run: Path, learner: Learner, progress: Progress) -> None:
    """Write the state of a run, from which `restore_state` resumes it."""
    weights, optimiser = learner.network.state_dict(), learner.optimiser.state_dict()
    save_trainer(run, {**progress._asdict(), "weights": weights, "optimiser": optimiser})


def restore_state(run: Path, learner: Learner) -> Progress:
    """Restore the weights and the optimiser of a run, and return its progress.

    Raises:
        FileNotFoundError: The run has no saved state.
        UserError: The state is damaged, or belongs to other data or settings.
    """
    # A run that was killed between the two files has a state but no weights yet.
    if (run / MODEL).is_file():
        check_metadata(run, learner.metadata)
    state = load_trainer(run)
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
    """Write the best weights of a run that was killed between saving its state and them.

    Raises:
        FileNotFoundError: The best weights are lost.
    """
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

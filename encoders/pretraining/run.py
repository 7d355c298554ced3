"""A pretraining with a folder of its own: settings, log, and a state to go on from."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from encoders.pretraining.schedules import Pretraining
from storage import UnwritableError, write_text
from storage.locks import sole_writer
from training.checkpoints import TRAINER, load_trainer, save_trainer
from training.interruption import Stopped, interruption
from training.log import RunLog
from training.settings import CONFIG, check_same_run, to_json

_LOG_EVERY = 10


def run_pretraining(
    pretraining: Pretraining,
    batches: Callable[[int], Iterable[Any]],
    run: Path,
    views: int,
    save_every: int,
) -> None:
    """Train to the end under a bar, from where an earlier call in the folder stopped.

    Ctrl-C saves and ends the program after the step at hand.

    Args:
        pretraining: Fresh; takes up the state in the folder if there is one.
        batches: Gives the batches from a number on.
        run: Folder that `claim_run` has checked.
        views: Pictures of a batch.
        save_every: Steps between two writings of the state.

    Raises:
        OutputInUseError: Another process trains in the folder.
        UnwritableError: The disk is full.
    """
    with sole_writer(run):
        try:
            _train(pretraining, batches, run, views, save_every)
        except UnwritableError as error:
            raise UnwritableError(
                f"{error}. Make room; the same command goes on from the last state that was saved"
            ) from error


def _train(
    pretraining: Pretraining,
    batches: Callable[[int], Iterable[Any]],
    run: Path,
    views: int,
    save_every: int,
) -> None:
    if (run / TRAINER).exists():
        _take_up(pretraining, run)
    log = RunLog(run, pretraining.step - 1)
    total, done = views * pretraining.steps, views * pretraining.step
    with (
        interruption() as interrupted,
        tqdm(total=total, initial=done, desc="training", unit="view", unit_scale=True) as bar,
    ):
        for one in pretraining.run(batches(pretraining.step)):
            bar.update(views)
            bar.set_postfix(loss=f"{one['loss']:.3f}")
            finished = pretraining.step == pretraining.steps
            if one["step"] % _LOG_EVERY == 0 or finished:
                log.write("pretrain", int(one["step"]), one)
            if pretraining.step % save_every == 0 or finished or interrupted:
                save_trainer(run, pretraining.state_dict())
            if interrupted and not finished:
                bar.close()
                raise Stopped(f"Stopped after {pretraining.step} steps; the same command goes on.")


def claim_run(run: Path, settings: Any, may_change: frozenset[str]) -> None:
    """Make the folder of a training, or make sure that the training in it is the same.

    Args:
        run: The folder.
        settings: A frozen dataclass.
        may_change: Names of settings that may differ from those in the folder.

    Raises:
        ValueError: Another training has begun there; names the settings that differ.
    """
    run.mkdir(parents=True, exist_ok=True)
    if (run / TRAINER).exists():
        remedy = "give another --run-dir, or remove the folder to begin anew"
        check_same_run(run, settings, may_change, "the command line", remedy)
    write_text(run / CONFIG, to_json(settings))


def _take_up(pretraining: Pretraining, run: Path) -> None:
    try:
        pretraining.load_state_dict(load_trainer(run))
    except (KeyError, RuntimeError) as error:
        raise ValueError(
            f"{run / TRAINER}: is of another training ({error}); remove it to begin anew"
        ) from error

"""A pre-training run in a folder: settings, log and a state to resume from."""

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
    """Train to the end with a progress bar; resume if the folder contains a saved state.

    Ctrl-C finishes the current step, saves the state and ends the program.

    Args:
        pretraining: A new training; the state in the folder is loaded into it if there is one.
        batches: Function that returns the batches from a given index on.
        run: Folder of the run, checked by `prepare_run`.
        views: Number of views in a batch.
        save_every: Number of steps between two saved states.

    Raises:
        OutputInUseError: Another process trains in the folder.
        UnwritableError: The disk is full.
    """
    with sole_writer(run):
        try:
            _train(pretraining, batches, run, views, save_every)
        except UnwritableError as error:
            raise UnwritableError(
                f"{error}. Make room; the same command resumes from the last saved state"
            ) from error


def _train(
    pretraining: Pretraining,
    batches: Callable[[int], Iterable[Any]],
    run: Path,
    views: int,
    save_every: int,
) -> None:
    if (run / TRAINER).exists():
        _load_state(pretraining, run)
    log = RunLog(run, pretraining.step - 1)
    total, done = views * pretraining.steps, views * pretraining.step
    with (
        interruption() as interrupted,
        tqdm(total=total, initial=done, desc="training", unit="view", unit_scale=True) as bar,
    ):
        for figures in pretraining.run(batches(pretraining.step)):
            bar.update(views)
            bar.set_postfix(loss=f"{figures['loss']:.3f}")
            finished = pretraining.step == pretraining.steps
            if figures["step"] % _LOG_EVERY == 0 or finished:
                log.write("pretrain", int(figures["step"]), figures)
            if pretraining.step % save_every == 0 or finished or interrupted:
                save_trainer(run, pretraining.state_dict())
            if interrupted and not finished:
                bar.close()
                raise Stopped(
                    f"Stopped after {pretraining.step} steps; run the same command to resume."
                )


def prepare_run(run: Path, settings: Any, may_change: frozenset[str]) -> None:
    """Create the folder of a run, or check that the run in it has the same settings.

    Args:
        run: Folder of the run.
        settings: A frozen dataclass.
        may_change: Names of settings that may differ when a run is resumed.

    Raises:
        ValueError: The folder contains another run; the message names the settings that differ.
    """
    run.mkdir(parents=True, exist_ok=True)
    if (run / TRAINER).exists():
        remedy = "give another --run-dir, or remove the folder to start again"
        check_same_run(run, settings, may_change, "the command line", remedy)
    write_text(run / CONFIG, to_json(settings))


def _load_state(pretraining: Pretraining, run: Path) -> None:
    try:
        pretraining.load_state_dict(load_trainer(run))
    except (KeyError, RuntimeError) as error:
        raise ValueError(
            f"{run / TRAINER}: belongs to another run ({error}); remove it to start again"
        ) from error

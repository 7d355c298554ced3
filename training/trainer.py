"""The training loop of all learners, in one process or distributed."""

import dataclasses
import json
import math
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch
from torch import nn
from tqdm import tqdm

from clipnav.storage import UnwritableError, write_text
from clipnav.storage.errors import UserError, pluralise, truncate
from clipnav.storage.progress import ProgressBar, progress_bar
from clipnav.training import distributed
from clipnav.training.checkpoints import (
    MODEL,
    RESULTS,
    TRAINER,
    check_metadata,
    compare_metadata,
    load_trainer,
    model_metadata,
    save_trainer,
)
from clipnav.training.interruption import (
    Stopped,
    UnfinishedIterationError,
    interruption,
    interruption_message,
)
from clipnav.training.learners import Learner, Selection
from clipnav.training.log import RunLog, check_trackers, mean_figures, start_trackers
from clipnav.training.optimisers import clip_gradient, learning_rate
from clipnav.training.run_folder import Group, Settings, check_length, lock_run, run_folder
from clipnav.training.settings import CONFIG, to_json

_LOG_EVERY = 50
_SAVE_EVERY = 300.0  # seconds of training without an evaluation: what a kill can cost
_SHARED = "trainings of agents on graphs, of speakers, and of the representations of CLEAR"


class Progress(NamedTuple):
    """How far a run is.

    Attributes:
        best: Iteration and score of the best weights; empty before the first evaluation.
        is_due: Whether the weights still have to be evaluated: an error ended their evaluation.
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
        if before != now:
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
    compare_metadata(run / TRAINER, state.get("metadata", {}), learner.metadata)
    try:
        learner.network.load_state_dict(state["weights"])
        learner.optimiser.load_state_dict(state["optimiser"])
        return Progress(*(state[name] for name in Progress._fields))
    except (KeyError, RuntimeError, ValueError) as error:
        raise UserError(
            f"{run / TRAINER}: does not fit the data or the settings "
            f"({truncate(str(error), 400)}); resume with the data and settings of the run"
        ) from error


def _restore_model(run: Path, learner: Learner, progress: Progress) -> None:
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


class DivergedError(FloatingPointError):
    """The loss or its gradient is infinite, NaN or too large."""


class Trainer:
    """Training run of a learner, with its progress and folder.

    Each iteration has its own random seed, so a resumed run computes the same results as an
    uninterrupted one; on the CPU they are bit-identical.
    """

    def __init__(
        self,
        config: Settings,
        learner: Learner,
        noise: Callable[[int], int],
        largest_loss: float = math.inf,
        group: Group | None = None,
    ) -> None:
        self.config = config
        self.learner = learner
        check_trackers(config.track)
        distributed.check_joined(_SHARED)
        self._noise, self._largest_loss = noise, largest_loss
        self._group: Group = group or distributed
        self.run = self._group.all_gather(run_folder(config))[0]
        self.resume_with = f"--resume {self.run}"  # for messages
        lock = lock_run(self.run, self._group, create=config.resume is None)
        # Also releases the lock if an error ends the run without `close`.
        self._unlock = weakref.finalize(self, lock.release) if lock else None
        self.iteration = 0
        self.seconds = 0.0
        self.best: dict[str, Any] = {}
        self.log: RunLog | None = None
        self._saved: int | None = None
        self._saved_at = 0.0  # seconds of training
        self._recent: list[dict[str, float]] = []  # figures that are not logged yet
        self._is_due = False  # whether the current weights have to be evaluated
        self._requests: list[bool] = []  # to stop
        if config.resume is not None:
            self._restore()
        self._began = self.iteration, self.seconds  # another machine may have trained until here
        if self._is_first:
            # Also when a run is resumed, as its length may have changed.
            settings = dataclasses.replace(config, output=self.run, resume=None)
            write_text(self.run / CONFIG, to_json(settings))
            if config.resume is None:
                learner.start(self.run)
            values = dataclasses.asdict(settings)
            trackers = start_trackers(config.track, self.run, self.iteration + 1, values)
            self.log = RunLog(self.run, self.iteration, trackers)

    @property
    def progress(self) -> float:
        """Completed fraction of the run, 0 to 1."""
        if self.config.minutes is not None:
            return min(self.seconds / (60 * self.config.minutes), 1.0)
        return min(self.iteration / self.config.iterations, 1.0)

    def train(self) -> None:
        """Train to the end; after Ctrl-C, finish the current iteration, save and stop."""
        try:
            with interruption_message(lambda: self._resume_hint()):
                self._train()
        except UnwritableError as error:
            self.close()
            raise UnwritableError(f"{error}. Make room. {self._resume_hint()}") from error
        except (OSError, UserError):  # of data: the state of the last iteration is complete
            if self.iteration > (self._saved or 0):
                self.save()
                if self._is_first:
                    tqdm.write(self._resume_hint(), sys.stderr)
            self.close()
            raise

    def check_interruption(self) -> None:
        """Give up an iteration or evaluation that takes minutes if the run is to stop."""
        if self._requests:
            raise UnfinishedIterationError

    def _train(self) -> None:
        # Counts per mille, as a run may be limited by time or by iterations.
        with (
            interruption() as self._requests,
            progress_bar(
                total=1000,
                initial=int(1000 * self.progress),
                desc="training",
                unit=None,
                disable=not self._is_first,
            ) as bar,
        ):
            if self.progress >= 1 and self._is_first:
                flag = "--iterations" if self.config.minutes is None else "--minutes"
                tqdm.write(
                    f"{self.run} has finished all {self._count()}; resume it "
                    f"with a larger {flag} to train it further",
                    sys.stderr,
                )
            try:
                self._train_on(bar)
            except (ChildProcessError, UnfinishedIterationError):
                if self._requests:  # SIGTERM also ends processes that load data
                    self._stop(bar)
                raise
            # The other ranks read the best weights next, which rank 0 may have just restored.
            self._group.all_gather(None)

    def _train_on(self, bar: ProgressBar) -> None:
        if self._is_due:
            self._evaluate_and_save()
        while self.progress < 1:
            loss = self._iterate()
            iteration, seconds = self._began
            rate = (self.iteration - iteration) / max(self.seconds - seconds, 1e-9)
            bar.set_postfix_str(
                f"{self.iteration} it, {rate:.1f} it/s, loss {loss:.3f}", refresh=False
            )
            bar.update(int(1000 * self.progress) - bar.n)
            finished = self.progress >= 1
            if finished or self.iteration % self.config.evaluate_every == 0:
                self._evaluate_and_save()
            elif self.seconds - self._saved_at >= _SAVE_EVERY:
                self.save()
            if any(self._group.all_gather(bool(self._requests))) and not finished:
                self._stop(bar)

    def _stop(self, bar: ProgressBar) -> NoReturn:
        self.save()
        bar.close()
        self.close()
        raise Stopped(f"Stopped after {self._count()}. Resume with {self.resume_with}")

    def _evaluate_and_save(self) -> None:
        if not self.evaluate():
            self.save()

    def step(self) -> dict[str, float]:
        """Update the weights once and return the figures to log."""
        learner, settings = self.learner, self.config.optimiser
        torch.manual_seed(self._noise(self.iteration))
        learner.network.train()
        learner.optimiser.zero_grad(set_to_none=True)
        with unchanged_buffers(learner.network) as restore:
            figures = learner.backward(self.iteration)
            norms = [clip_gradient(part, settings) for part in learner.clipped]
            is_finite = math.isfinite(sum(norms)) and abs(figures["loss"]) < self._largest_loss
            if not all(self._group.all_gather(is_finite)):
                restore()
                self._fail(figures["loss"], norms)
        rate = learning_rate(settings, self.iteration, self.progress)
        for group in learner.optimiser.param_groups:
            group["lr"] = rate * group.get("rate_factor", 1.0)
        learner.optimiser.step()
        self.iteration += 1
        return {**figures, "gradient_norm": max(norms)}

    def evaluate(self) -> bool:
        """Evaluate the current weights; save them and the state if they are the best so far.

        Does nothing if the learner has no `selection`.

        Returns:
            Whether they are the best.
        """
        self.learner.network.eval()
        selection = self.learner.selection
        if selection is None:
            return False
        # Until the end of the evaluation, so that a run that it ends resumes with it.
        self._is_due = True
        summaries = self.learner.evaluate()
        if self.log is not None:
            for split, summary in summaries.items():
                self.log.write(split, self.iteration, summary)
        self._is_due = False  # `_keep_best` can save the state
        split, metric = selection.split, selection.metric
        is_best = self._keep_best(selection, summaries[split][metric])
        if self._is_first:
            tqdm.write(
                f"iteration {self.iteration}: {split} {metric} "
                f"{100 * summaries[split][metric]:.1f}, best {100 * self.best[metric]:.1f} "
                f"at {self.best['iteration']}",
                file=sys.stderr,
            )
        return is_best

    def _keep_best(self, selection: Selection, value: float) -> bool:
        """Save state and weights if their score is higher than in all earlier evaluations."""
        if self.best and not value > self.best[selection.metric]:
            return False
        self.best = selection.describe(self.iteration, value)
        # The state first, because it contains the weights: a run that is killed between the two
        # files would otherwise have weights whose score it does not know.
        self._save_state()
        self._save_model()
        return True

    def save(self) -> None:
        """Save the training state, and the model unless an evaluation has selected weights."""
        self._save_state()
        if not self.best:
            self._save_model()

    def _save_state(self) -> None:
        if self._is_first:
            progress = Progress(self.iteration, self.seconds, self.best, self._recent, self._is_due)
            save_state(self.run, self.learner, progress)
        # On all ranks, for their messages, and to save again at the same iteration.
        self._saved, self._saved_at = self.iteration, self.seconds

    def report(self, results: Mapping[str, Any]) -> None:
        """Write the results of the run: scores of the best weights by split."""
        report = {
            "iterations": self.iteration,
            "training_seconds": self.seconds,
            "best": self.best,
            "results": results,
        }
        if self._is_first:
            write_text(self.run / RESULTS, json.dumps(report, indent=2) + "\n")
        self.close()

    def close(self) -> None:
        """Close the log and release the lock of the folder."""
        if self.log is not None:
            self.log.close()
        if self._unlock is not None:
            self._unlock()

    @property
    def _is_first(self) -> bool:
        return self._group.rank() == 0

    def _save_model(self) -> None:
        if self._is_first:
            self.learner.save_model(self.run, self.iteration)

    def _count(self) -> str:
        return pluralise(self.iteration, "iteration")

    def _resume_hint(self) -> str:
        if self._saved is None:
            return f"Nothing is saved yet; start again with {self.resume_with}"
        return f"The state of iteration {self._saved} is saved; resume with {self.resume_with}"

    def _restore(self) -> None:
        progress = restore_state(self.run, self.learner)
        self.iteration, self.seconds, self.best, self._recent, self._is_due = progress[:5]
        self._saved, self._saved_at = self.iteration, self.seconds
        check_length(self.config, self.run, self.iteration)
        if self._is_due or self.progress < 1:
            progress.check_processes(self.run)
            if self.learner.selection is not None:
                self.learner.selection.check_same_score(self.best, self.run)
        if self._is_first:
            _restore_model(self.run, self.learner, progress)

    def _fail(self, loss: float, norms: list[float]) -> None:
        can_save = all(bool(w.isfinite().all()) for w in self.learner.network.state_dict().values())
        if can_save:
            self.save()
        self.close()
        state = (
            f"the state before it is saved in {self.run}"
            if can_save
            else "the weights are not finite either, so nothing is saved"
        )
        raise DivergedError(
            f"iteration {self.iteration} has loss {loss:.4g} and gradient norm "
            f"{', '.join(f'{norm:.4g}' for norm in norms)}; {state}. Start another run "
            "with a lower --optimiser.learning-rate, or limit gradients with --optimiser.clip"
        )

    def _iterate(self) -> float:
        """Train for an iteration and return its loss."""
        start = time.perf_counter()
        figures = self.step()
        self._recent.append(figures)
        # All ranks use the time of rank 0, so that a run with --minutes ends at the same iteration.
        self.seconds += self._group.all_gather(time.perf_counter() - start)[0]
        if self.log is not None and self.iteration % _LOG_EVERY == 0:
            rate = self.learner.optimiser.param_groups[0]["lr"]
            means = mean_figures(self._recent)
            means |= {"learning_rate": rate, "seconds": self.seconds}
            self.log.write("train", self.iteration, means)
        if self.iteration % _LOG_EVERY == 0:
            self._recent.clear()
        return figures["loss"]

"""The training loop: of anything, in one process or in several that train together."""

import dataclasses
import json
import math
import sys
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from storage import UnwritableError, write_text
from storage.locks import OutputInUseError, OutputLock
from training.checkpoints import MODEL, RESULTS, TRAINER, load_trainer, save_trainer
from training.groups import Group, SingleProcess
from training.interruption import Stopped, interruption, says_when_interrupted
from training.learners import Learner, Summary
from training.log import RunLog
from training.optimisers import learning_rate, limit_gradient
from training.run_folder import Settings, run_folder
from training.settings import CONFIG, to_json

_LOG_EVERY = 50


class DivergedError(FloatingPointError):
    """The loss or its gradient is not a sensible number any more."""


class Trainer:
    """A run: what it trains, how far it has come, and its folder.

    All noise of an iteration comes from a seed of its own, so a run that goes on after a stop
    computes what it would have computed without; on the CPU bit for bit.

    Args:
        config: Settings; a run is started, or taken up again where `config.resume` names one.
        learner: What is trained.
        noise: Seed of torch's noise in an iteration (from 0).
        largest_loss: A run whose loss is not below it has failed.
        group: The processes that train together.

    Raises:
        OutputInUseError: Another process trains in the folder.
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
        self._noise, self._largest_loss = noise, largest_loss
        self._group = group or SingleProcess()
        self.run = self._group.all_gather(run_folder(config))[0]
        self._claim()
        self.iteration = 0
        self.seconds = 0.0
        self.best: dict[str, Any] = {}
        self.log: RunLog | None = None
        self._saved: int | None = None
        self._recent: list[dict[str, float]] = []  # figures that are not in the log yet
        if config.resume is not None:
            self._take_up(load_trainer(self.run))
        if self._is_first:
            # Also of a run that goes on: how long it is may have changed.
            settings = dataclasses.replace(config, output=self.run, resume=None)
            write_text(self.run / CONFIG, to_json(settings))
            if config.resume is None:
                learner.start(self.run)
            self.log = RunLog(self.run, self.iteration)

    @property
    def progress(self) -> float:
        """Done share of the run, 0 to 1."""
        if self.config.minutes is not None:
            return min(self.seconds / (60 * self.config.minutes), 1.0)
        return min(self.iteration / self.config.iterations, 1.0)

    def train(self) -> None:
        """Train to the end; Ctrl-C saves and leaves after the iteration at hand.

        Raises:
            DivergedError: As `step` does.
            Stopped: By Ctrl-C.
            UnwritableError: The disk is full; says from which state the run can go on.
        """
        try:
            with says_when_interrupted(lambda: f"Of this run, {self._way_on()}"):
                self._train()
        except UnwritableError as error:
            self.close()
            raise UnwritableError(f"{error}. Make room; {self._way_on()}") from error

    def _train(self) -> None:
        with interruption() as interrupted, self._bar() as bar:
            while self.progress < 1:
                self._iterate()
                self._show(bar)
                finished = self.progress >= 1
                if finished or self.iteration % self.config.evaluate_every == 0:
                    self.evaluate()
                    self.save()
                if any(self._group.all_gather(bool(interrupted))) and not finished:
                    self.save()
                    bar.close()
                    self.close()
                    raise Stopped(
                        f"Stopped after {self.iteration} iterations. Go on with --resume {self.run}"
                    )

    def step(self) -> dict[str, float]:
        """One weight update; returns what to log.

        Raises:
            DivergedError: Loss or gradient have exploded; nothing is updated, the state is saved.
        """
        learner, settings = self.learner, self.config.optimiser
        torch.manual_seed(self._noise(self.iteration))
        learner.network.train()
        learner.optimiser.zero_grad(set_to_none=True)
        figures = learner.backward(self.iteration)
        norms = [limit_gradient(part, settings) for part in learner.clipped]
        healthy = math.isfinite(sum(norms)) and abs(figures["loss"]) < self._largest_loss
        if not all(self._group.all_gather(healthy)):
            self._give_up(figures["loss"], norms)
        rate = learning_rate(settings, self.iteration, self.progress)
        for group in learner.optimiser.param_groups:
            group["lr"] = rate * group.get("rate_factor", 1.0)
        learner.optimiser.step()
        self.iteration += 1
        return {**figures, "gradient_norm": max(norms)}

    def evaluate(self) -> None:
        """Evaluate what has been learnt, and keep its weights if they are the best so far."""
        self.learner.network.eval()
        summaries = self.learner.evaluate()
        if self.log is not None:
            for split, summary in summaries.items():
                self.log.write(split, self.iteration, summary)
        self.keep_best(summaries)
        split, metric = self.config.select_by, self.learner.metric
        if self._is_first:
            tqdm.write(
                f"iteration {self.iteration}: {split} {metric} "
                f"{100 * summaries[split][metric]:.1f}, best {100 * self.best[metric]:.1f} "
                f"at {self.best['iteration']}",
                file=sys.stderr,
            )

    def keep_best(self, summaries: Mapping[str, Summary]) -> None:
        """Write the weights if they are better than those of all evaluations before."""
        metric = self.learner.metric
        value = summaries[self.config.select_by][metric]
        if not self.best or value > self.best[metric]:
            is_first, self.best = not self.best, {"iteration": self.iteration, metric: value}
            if is_first:
                # Weights never lie there alone: from a state they can be written again.
                self._save_state()
            self._save_model()

    def save(self) -> None:
        """Write the state of training; before any evaluation also the weights to use."""
        self._save_state()
        if not self.best:
            self._save_model()

    def _save_state(self) -> None:
        if not self._is_first:
            return
        state = {
            "iteration": self.iteration,
            "seconds": self.seconds,
            "best": self.best,
            "recent": self._recent,
            "weights": self.learner.network.state_dict(),
            "optimiser": self.learner.optimiser.state_dict(),
        }
        save_trainer(self.run, state)
        self._saved = self.iteration

    def report(self, results: Mapping[str, Any]) -> None:
        """Write what became of the run, with the scores of the best weights by split."""
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
        """Leave the folder to others."""
        if self._is_first:
            self._unlock()

    @property
    def _is_first(self) -> bool:
        return self._group.rank() == 0

    def _save_model(self) -> None:
        if self._is_first:
            self.learner.save_model(self.run, self.iteration)

    def _way_on(self) -> str:
        if self._saved is None:
            return f"nothing has been saved yet, begin again with --resume {self.run}"
        return f"the state of iteration {self._saved} is kept, go on with --resume {self.run}"

    def _claim(self) -> None:
        """Become the one writer of the folder; every process is told if that is refused."""
        refusal = None
        if self._is_first:
            if self.config.resume is None:
                self.run.mkdir(parents=True, exist_ok=True)
            lock = OutputLock(self.run)
            # Also where nobody closes the run, which may have ended by an error.
            self._unlock = weakref.finalize(self, lock.release)
            try:
                lock.acquire()
            except OutputInUseError as error:
                refusal = str(error)
        refusal = self._group.all_gather(refusal)[0]
        if refusal is not None:
            raise OutputInUseError(refusal)

    def _take_up(self, state: dict[str, Any]) -> None:
        try:
            self.learner.network.load_state_dict(state["weights"])
            self.learner.optimiser.load_state_dict(state["optimiser"])
            self.iteration, self.seconds = state["iteration"], state["seconds"]
            self.best = state["best"]
            self._recent = state["recent"]
            self._saved = self.iteration
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"{self.run / TRAINER}: does not fit the data or the settings ({error}); "
                "resume with what the run was started with"
            ) from error
        if self._is_first and not (self.run / MODEL).is_file():
            # The run was killed between the two files, which hold the same weights then.
            if self.best and self.best["iteration"] != self.iteration:
                raise FileNotFoundError(
                    f"{self.run / MODEL}: no such file; the best weights, of iteration "
                    f"{self.best['iteration']}, are lost: start the run anew"
                )
            self._save_model()

    def _give_up(self, loss: float, norms: list[float]) -> None:
        weights = self.learner.network.state_dict().values()
        good = all(bool(weight.isfinite().all()) for weight in weights)
        if good:
            self.save()
        self.close()
        state = "the state before it is saved" if good else "the weights hold no numbers either"
        raise DivergedError(
            f"iteration {self.iteration} has loss {loss:.4g} and gradient norm "
            f"{', '.join(f'{norm:.4g}' for norm in norms)}; {state} in {self.run}. Start another "
            "run with a lower --optimiser.learning-rate, or limit gradients with --optimiser.clip"
        )

    def _iterate(self) -> None:
        start = time.perf_counter()
        self._recent.append(self.step())
        # All processes must see the same end of a run that ends by the clock.
        self.seconds += self._group.all_gather(time.perf_counter() - start)[0]
        if self.log is not None and self.iteration % _LOG_EVERY == 0:
            names = self._recent[-1]
            means = {name: float(np.mean([one[name] for one in self._recent])) for name in names}
            rate = self.learner.optimiser.param_groups[0]["lr"]
            figures = {**means, "learning_rate": rate, "seconds": self.seconds}
            self.log.write("train", self.iteration, figures)
        if self.iteration % _LOG_EVERY == 0:
            self._recent.clear()

    def _bar(self) -> tqdm:
        # A bar of per mille serves runs that end by the clock and by iterations alike.
        return tqdm(
            total=1000,
            initial=int(1000 * self.progress),
            desc="training",
            bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining} {postfix}",
            mininterval=0.5 if sys.stderr.isatty() else 20,
            disable=not self._is_first,
        )

    def _show(self, bar: tqdm) -> None:
        rate = self.iteration / max(self.seconds, 1e-9)
        loss = f"{self._recent[-1]['loss']:.3f}" if self._recent else "-"
        bar.set_postfix_str(f"{self.iteration} it, {rate:.1f} it/s, loss {loss}", refresh=False)
        bar.update(int(1000 * self.progress) - bar.n)

"""The training loop: of followers and of speakers, of one process or of several."""

import dataclasses
import math
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from agents import distributed
from agents.configs import RunConfig
from agents.learners import Learner, Summary
from agents.optimisers import learning_rate
from storage import write_text
from storage.runs import run_folder
from storage.runs.checkpoints import TRAINER, load_trainer, save_trainer
from storage.runs.interruption import interruption
from storage.runs.log import RunLog
from storage.runs.settings import CONFIG, to_json

_NOISE = 31
_LOG_EVERY = 50
# The losses of a healthy run are below a hundred.
_EXPLODED = 1e4


class DivergedError(FloatingPointError):
    """The loss or its gradient is not a sensible number any more."""


class Trainer:
    """A run: what it trains, how far it has come, and its folder.

    Every draw of an iteration comes from a generator made of seed and iteration, so a run that
    goes on after a stop computes what it would have computed without.

    Args:
        config: Settings; a run is started, or taken up again where `config.resume` names one.
        learner: What is trained.
    """

    def __init__(self, config: RunConfig, learner: Learner) -> None:
        self.config = config
        self.learner = learner
        self.run = distributed.everywhere(run_folder(config))[0]
        self.iteration = 0
        self.seconds = 0.0
        self.best: dict[str, Any] = {}
        self.log: RunLog | None = None
        if config.resume is not None:
            self._take_up(load_trainer(self.run))
        if distributed.rank() == 0:
            if config.resume is None:
                self.run.mkdir(parents=True, exist_ok=True)
                write_text(self.run / CONFIG, to_json(dataclasses.replace(config, output=self.run)))
                learner.start(self.run)
            self.log = RunLog(self.run, self.iteration)
        self._recent: list[dict[str, float]] = []

    @property
    def progress(self) -> float:
        """Done share of the run, 0 to 1."""
        if self.config.minutes is not None:
            return min(self.seconds / (60 * self.config.minutes), 1.0)
        return min(self.iteration / self.config.iterations, 1.0)

    def train(self) -> None:
        """Train to the end; Ctrl-C saves and leaves after the iteration at hand."""
        with interruption() as interrupted, self._bar() as bar:
            while self.progress < 1:
                try:
                    self._iterate()
                except DivergedError as error:
                    bar.close()
                    sys.exit(str(error))
                self._show(bar)
                finished = self.progress >= 1
                if finished or self.iteration % self.config.evaluate_every == 0:
                    self.evaluate()
                    self.save()
                if any(distributed.everywhere(bool(interrupted))) and not finished:
                    self.save()
                    bar.close()
                    self.close()
                    sys.exit(f"Stopped after {self.iteration} iterations. {self.how_to_go_on}")
        self.close()

    @property
    def how_to_go_on(self) -> str:
        """What to tell a user who stopped the run."""
        return f"Go on with --resume {self.run}"

    def step(self) -> dict[str, float]:
        """One weight update; returns what to log.

        Raises:
            DivergedError: Loss or gradient have exploded; nothing is updated, the state is saved.
        """
        learner, settings = self.learner, self.config.optimiser
        seed = [self.config.seed, _NOISE, self.iteration, distributed.rank()]
        torch.manual_seed(derived_seed(*seed))
        learner.network.train()
        learner.optimiser.zero_grad(set_to_none=True)
        figures = learner.backward(self.iteration)
        norms = [
            nn.utils.clip_grad_norm_(part.parameters(), settings.clip_norm).item()
            for part in learner.clipped
        ]
        healthy = math.isfinite(sum(norms)) and abs(figures["loss"]) < _EXPLODED
        if not all(distributed.everywhere(healthy)):
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
        split, metric = self.config.select_by, self.config.select_metric
        if distributed.rank() == 0:
            tqdm.write(
                f"iteration {self.iteration}: {split} {metric} "
                f"{100 * summaries[split][metric]:.1f}, best {100 * self.best[metric]:.1f} "
                f"at {self.best['iteration']}",
                file=sys.stderr,
            )

    def keep_best(self, summaries: Mapping[str, Summary]) -> None:
        """Write the weights if they are better than those of all evaluations before."""
        metric = self.config.select_metric
        value = summaries[self.config.select_by][metric]
        if not self.best or value > self.best[metric]:
            self.best = {"iteration": self.iteration, metric: value}
            self._save_model()

    def save(self) -> None:
        """Write the state of training; before any evaluation also the weights to use."""
        if distributed.rank() > 0:
            return
        state = {
            "iteration": self.iteration,
            "seconds": self.seconds,
            "best": self.best,
            "weights": self.learner.network.state_dict(),
            "optimiser": self.learner.optimiser.state_dict(),
        }
        save_trainer(self.run, state)
        if not self.best:
            self._save_model()

    def report(self) -> dict[str, Any]:
        """What became of the run."""
        return {
            "iterations": self.iteration,
            "training_seconds": self.seconds,
            "best": self.best,
        }

    def close(self) -> None:
        """Hand the log to the disk."""
        if self.log is not None:
            self.log.close()

    def _save_model(self) -> None:
        if distributed.rank() == 0:
            self.learner.save_model(self.run, self.iteration)

    def _take_up(self, state: dict[str, Any]) -> None:
        try:
            self.learner.network.load_state_dict(state["weights"])
            self.learner.optimiser.load_state_dict(state["optimiser"])
            self.iteration, self.seconds = state["iteration"], state["seconds"]
            self.best = state["best"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"{self.run / TRAINER}: does not fit the data or the settings ({error}); "
                "resume with what the run was started with"
            ) from error

    def _give_up(self, loss: float, norms: list[float]) -> None:
        weights = self.learner.network.state_dict().values()
        good = all(bool(weight.isfinite().all()) for weight in weights)
        if good:
            self.save()
        self.close()
        state = "the state before it is saved" if good else "the weights hold no numbers either"
        raise DivergedError(
            f"iteration {self.iteration} has loss {loss:.4g} and gradient norms "
            f"{', '.join(f'{norm:.4g}' for norm in norms)}; {state} in {self.run}. "
            "Start another run with a lower --optimiser.learning-rate or --optimiser.clip-norm"
        )

    def _iterate(self) -> None:
        start = time.perf_counter()
        self._recent.append(self.step())
        # All processes must see the same end of a run that ends by the clock.
        self.seconds += distributed.everywhere(time.perf_counter() - start)[0]
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
            desc="training",
            bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining} {postfix}",
            mininterval=0.5 if sys.stderr.isatty() else 20,
            disable=distributed.rank() > 0,
        )

    def _show(self, bar: tqdm) -> None:
        rate = self.iteration / max(self.seconds, 1e-9)
        loss = f"{self._recent[-1]['loss']:.2f}" if self._recent else "-"
        bar.set_postfix_str(f"{self.iteration} it, {rate:.1f} it/s, loss {loss}", refresh=False)
        bar.update(int(1000 * self.progress) - bar.n)


def prepare(config: RunConfig) -> None:
    """Set up torch as a run wants it, and join the other processes; before anything is built."""
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.set_float32_matmul_precision(config.matmul_precision)
    distributed.join(config.device)
    torch.manual_seed(config.seed)


def derived_seed(*parts: int) -> int:
    """One seed made of several."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)

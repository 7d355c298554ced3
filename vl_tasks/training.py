"""The training loop of all tasks."""

import dataclasses
import json
import math
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from storage import write_text
from storage.runs import run_folder
from storage.runs.checkpoints import RESULTS, TRAINER, load_trainer, save_trainer
from storage.runs.interruption import interruption
from storage.runs.log import RunLog
from storage.runs.settings import CONFIG, to_json
from vl_tasks.configs import RunConfig
from vl_tasks.optimisers import learning_rate, limit_gradient, make_optimiser

_NOISE, _ORDER = 17, 29
_LOG_EVERY = 50
HELD_OUT = "held-out"  # a split of every twentieth picture


class DivergedError(FloatingPointError):
    """The loss or its gradient is no number any more."""


class Learner(Protocol):
    """What a training run needs of whatever it trains."""

    metric: str
    """Which of the figures of `evaluate` chooses the best weights, larger ones."""
    records: int
    """How many the training data has."""

    @property
    def network(self) -> nn.Module:
        """All that is learnt."""
        ...

    def loss(self, rows: np.ndarray) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss of some records (B,) of the training data, and other figures to log."""
        ...

    def evaluate(self) -> dict[str, float]:
        """Figures of the split that chooses."""
        ...

    def start(self, run: Path) -> None:
        """Write what a fresh run's folder holds besides settings and weights."""
        ...

    def save(self, run: Path, iteration: int) -> None:
        """Write the weights to use."""
        ...


class BatchOrder:
    """Which records each iteration takes: all of them in an order of their own in each epoch.

    A batch may reach into the next epoch, so that every iteration has as many records.

    Args:
        records: How many there are.
        batch_size: How many an iteration takes.
        seed: Of the orders.
    """

    def __init__(self, records: int, batch_size: int, seed: int) -> None:
        self._records, self._size, self._seed = records, batch_size, seed
        self._orders: dict[int, np.ndarray] = {}

    def batch(self, iteration: int) -> np.ndarray:
        """Records (batch_size,) of an iteration (from 0)."""
        places = np.arange(iteration * self._size, (iteration + 1) * self._size)
        epochs = places // self._records
        self._orders = {int(e): self._order(int(e)) for e in np.unique(epochs)}
        rows = [
            self._orders[int(e)][p] for e, p in zip(epochs, places % self._records, strict=True)
        ]
        return np.array(rows)

    def _order(self, epoch: int) -> np.ndarray:
        if epoch in self._orders:
            return self._orders[epoch]
        rng = np.random.default_rng([self._seed, _ORDER, epoch])
        return rng.permutation(self._records)


class Trainer:
    """A run: what it trains, how far it has come, and its folder.

    Every draw of an iteration comes from a generator made of seed and iteration, so a run that
    goes on after a stop computes what it would have computed without; on the CPU bit for bit.

    Args:
        config: Settings; a run is started, or taken up again where `config.resume` names one.
        learner: What is trained.
    """

    def __init__(self, config: RunConfig, learner: Learner) -> None:
        self.config = config
        self.learner = learner
        self.optimiser = make_optimiser(learner.network, config.optimiser)
        self.run = run_folder(config)
        self.iteration = 0
        self.seconds = 0.0
        self.best: dict[str, Any] = {}
        self._order = BatchOrder(learner.records, config.batch_size, config.seed)
        self._recent: list[dict[str, float]] = []
        if config.resume is not None:
            self._take_up(load_trainer(self.run))
        else:
            self.run.mkdir(parents=True, exist_ok=True)
            write_text(self.run / CONFIG, to_json(dataclasses.replace(config, output=self.run)))
            learner.start(self.run)
        self.log = RunLog(self.run, self.iteration)

    def train(self) -> None:
        """Train to the end; Ctrl-C saves and leaves after the iteration at hand."""
        with interruption() as interrupted, self._bar() as bar:
            while self.iteration < self.config.iterations:
                self._iterate(bar)
                finished = self.iteration >= self.config.iterations
                if finished or self.iteration % self.config.evaluate_every == 0:
                    self._evaluate()
                    self.save()
                if interrupted and not finished:
                    self.save()
                    bar.close()
                    self.log.close()
                    sys.exit(
                        f"Stopped after {self.iteration} iterations. Go on with --resume {self.run}"
                    )
        self.log.close()

    def step(self) -> dict[str, float]:
        """One weight update; returns what to log.

        Raises:
            DivergedError: Loss or gradient are no numbers; nothing is updated, the state is saved.
        """
        settings, network = self.config.optimiser, self.learner.network
        noise = np.random.default_rng([self.config.seed, _NOISE, self.iteration])
        torch.manual_seed(int(noise.integers(2**63)))
        network.train()
        self.optimiser.zero_grad(set_to_none=True)
        loss, figures = self.learner.loss(self._order.batch(self.iteration))
        loss.backward()
        norm = limit_gradient(network, settings)
        if not math.isfinite(norm) or not math.isfinite(loss.item()):
            self._give_up(loss.item(), norm)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(settings, self.iteration, self.config.iterations)
        self.optimiser.step()
        self.iteration += 1
        return {"loss": loss.item(), **figures, "gradient_norm": norm}

    def report(self, results: Mapping[str, Any]) -> None:
        """Write what became of the run, with the scores of the best weights by split."""
        report = {
            "iterations": self.iteration,
            "training_seconds": self.seconds,
            "best": self.best,
            "results": results,
        }
        write_text(self.run / RESULTS, json.dumps(report, indent=2) + "\n")

    def save(self) -> None:
        """Write the state of training; before any evaluation also the weights to use."""
        state = {
            "iteration": self.iteration,
            "seconds": self.seconds,
            "best": self.best,
            "weights": self.learner.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        save_trainer(self.run, state)
        if not self.best:
            self.learner.save(self.run, self.iteration)

    def _iterate(self, bar: tqdm) -> None:
        start = time.perf_counter()
        figures = self.step()
        self.seconds += time.perf_counter() - start
        self._recent.append(figures)
        bar.set_postfix_str(f"loss {figures['loss']:.3f}", refresh=False)
        bar.update()
        if self.iteration % _LOG_EVERY == 0:
            means = {name: float(np.mean([one[name] for one in self._recent])) for name in figures}
            rate = self.optimiser.param_groups[0]["lr"]
            self.log.write(
                "train", self.iteration, {**means, "learning_rate": rate, "seconds": self.seconds}
            )
            self._recent.clear()

    def _evaluate(self) -> None:
        """Evaluate what has been learnt, and keep its weights if they are the best so far."""
        self.learner.network.eval()
        with torch.inference_mode():
            figures = self.learner.evaluate()
        split, metric = self.config.select_by, self.learner.metric
        self.log.write(split, self.iteration, figures)
        if not self.best or figures[metric] > self.best[metric]:
            self.best = {"iteration": self.iteration, metric: figures[metric]}
            self.learner.save(self.run, self.iteration)
        tqdm.write(
            f"iteration {self.iteration}: {split} {metric} {100 * figures[metric]:.1f}, "
            f"best {100 * self.best[metric]:.1f} at {self.best['iteration']}",
            file=sys.stderr,
        )

    def _take_up(self, state: dict[str, Any]) -> None:
        try:
            self.learner.network.load_state_dict(state["weights"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.iteration, self.seconds = state["iteration"], state["seconds"]
            self.best = state["best"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"{self.run / TRAINER}: does not fit the data or the settings ({error}); "
                "resume with what the run was started with"
            ) from error

    def _give_up(self, loss: float, norm: float) -> None:
        weights = self.learner.network.state_dict().values()
        good = all(bool(weight.isfinite().all()) for weight in weights)
        if good:
            self.save()
        self.log.close()
        state = "the state before it is saved" if good else "the weights hold no numbers either"
        raise DivergedError(
            f"iteration {self.iteration} has loss {loss:.4g} and gradient norm {norm:.4g}; {state} "
            f"in {self.run}. Start another run with a lower --optimiser.learning-rate"
        )

    def _bar(self) -> tqdm:
        return tqdm(
            total=self.config.iterations,
            initial=self.iteration,
            desc="training",
            unit="it",
            mininterval=0.5 if sys.stderr.isatty() else 20,
        )


def prepare(config: RunConfig) -> None:
    """Set up torch as a run wants it; before anything is built."""
    if config.threads:
        torch.set_num_threads(config.threads)
    # On processors without TF32 "medium" is as exact and, through oneDNN, up to twice as fast.
    torch.set_float32_matmul_precision("medium" if config.device == "cpu" else "high")
    torch.manual_seed(config.seed)


def in_batches(count: int, size: int) -> Sequence[np.ndarray]:
    """Places 0..count - 1 in pieces of `size`."""
    return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]


def is_held_out(image_id: int | str) -> bool:
    """Whether a picture is one of the twentieth that "held-out" takes out of training."""
    return zlib.crc32(str(image_id).encode()) % 20 == 0

"""Training a follower by imitation."""

import dataclasses
import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from agents.batches import BatchOrder
from agents.checkpoints import (
    RESULTS,
    TRAINER,
    VOCABULARY,
    load_model,
    load_trainer,
    save_model,
    save_trainer,
)
from agents.configs import CONFIG, TrainConfig, to_json
from agents.environments import feature_notes, fit_scale, make_env, make_follower
from agents.evaluation import Results, Summary, compare, evaluate, follower_name, table
from agents.interruption import interruption
from agents.objectives import agreement, imitation_loss
from agents.optimisers import learning_rate, make_optimiser
from agents.rollout import FollowerAgent, rollout
from agents.run_log import RunLog
from storage import write_text

_NOISE, _WAY = 31, 32
_LOG_EVERY = 50


class Trainer:
    """A run: its networks, its place in the data and its folder.

    Every draw of an iteration comes from a generator made of seed and iteration, so a run that
    goes on after a stop computes what it would have computed without.
    """

    def __init__(self, config: TrainConfig) -> None:
        """Start a run, or take it up again where `config.resume` names one."""
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.set_float32_matmul_precision(config.matmul_precision)
        self.config = config
        self.run = run_folder(config)
        self.notes = feature_notes(config)
        self.env = make_env(config, "train")
        self.evaluation_envs = {
            split: make_env(config, split, self.env.tokenizer) for split in config.evaluation_splits
        }
        torch.manual_seed(config.seed)
        self.follower = make_follower(config, self.env)
        fit_scale(self.follower, config, self.env)
        self.optimiser = make_optimiser(self.follower, config.optimiser)
        self.order = BatchOrder(
            [episode.instr_id for episode in self.env.episodes],
            [len(episode.instruction) for episode in self.env.episodes],
            config.batch_size,
            config.bucket,
            config.seed,
        )
        self.iteration = 0
        self.seconds = 0.0
        self.best: dict[str, Any] = {}
        if config.resume is not None:
            self._take_up(load_trainer(self.run))
        else:
            self.run.mkdir(parents=True, exist_ok=True)
            write_text(self.run / CONFIG, to_json(dataclasses.replace(config, output=self.run)))
            self.env.tokenizer.save(self.run / VOCABULARY)
        self.log = RunLog(self.run, self.iteration)
        self._recent: list[tuple[float, float]] = []

    @property
    def progress(self) -> float:
        """Done share of the run, 0 to 1."""
        if self.config.minutes is not None:
            return min(self.seconds / (60 * self.config.minutes), 1.0)
        return min(self.iteration / self.config.iterations, 1.0)

    def train(self) -> None:
        """Train to the end; Ctrl-C saves and leaves after the iteration at hand."""
        config = self.config
        with interruption() as interrupted, self._bar() as bar:
            while self.progress < 1:
                self._iterate()
                self._show(bar)
                finished = self.progress >= 1
                if finished or self.iteration % config.evaluate_every == 0:
                    self.evaluate()
                    self.save()
                if interrupted and not finished:
                    self.save()
                    bar.close()
                    self.log.close()
                    sys.exit(f"Stopped after {self.iteration} iterations. {self.how_to_go_on}")
        self.log.close()

    @property
    def how_to_go_on(self) -> str:
        """What to tell a user who stopped the run."""
        return f"Go on with --resume {self.run}"

    def step(self) -> tuple[float, float]:
        """One weight update; returns the loss and the share of right decisions."""
        config = self.config
        torch.manual_seed(_derived_seed(config.seed, _NOISE, self.iteration))
        self.follower.train()
        decisions = rollout(
            self.env,
            self.follower,
            self.order.batch(self.iteration),
            config.feedback,
            np.random.default_rng([config.seed, _WAY, self.iteration]),
            config.language,
            config.max_training_steps,
        )
        loss = imitation_loss(decisions)
        if not math.isfinite(loss.item()):
            raise FloatingPointError(
                f"the loss is {loss.item()} at iteration {self.iteration}; "
                "lower --optimiser.learning-rate"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for part in (self.follower.encoder, self.follower.decoder):
            nn.utils.clip_grad_norm_(part.parameters(), config.optimiser.clip_norm)
        rate = learning_rate(config.optimiser, self.iteration, self.progress)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.iteration += 1
        return loss.item(), agreement(decisions)

    def evaluate(self) -> None:
        """Walk the evaluation splits greedily."""
        self.follower.eval()
        summaries = {
            split: evaluate(env, self.agent(), split).summary()
            for split, env in self.evaluation_envs.items()
        }
        for split, summary in summaries.items():
            self.log.write(split, self.iteration, summary)
        self.keep_best(summaries)
        chosen = summaries[self.config.select_by]
        tqdm.write(
            f"iteration {self.iteration}: {self.config.select_by} "
            f"SR {100 * chosen['SR']:.1f} SPL {100 * chosen['SPL']:.1f}, "
            f"best SPL {100 * self.best['SPL']:.1f} at {self.best['iteration']}",
            file=sys.stderr,
        )

    def keep_best(self, summaries: Mapping[str, Summary]) -> None:
        """Write the weights if they are better, by SPL, than those of all evaluations before."""
        spl = summaries[self.config.select_by]["SPL"]
        if not self.best or spl > self.best["SPL"]:
            self.best = {"iteration": self.iteration, "SPL": spl}
            self._save_model()

    def agent(self) -> FollowerAgent:
        """The follower walking greedily."""
        return FollowerAgent(self.follower, "argmax", language=self.config.language)

    def save(self) -> None:
        """Write the state of training; before any evaluation also the weights to use."""
        state = {
            "iteration": self.iteration,
            "seconds": self.seconds,
            "best": self.best,
            "weights": self.follower.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        save_trainer(self.run, state)
        if not self.best:
            self._save_model()

    def results(self) -> Results:
        """Load the best weights and compare them with the baselines on every evaluation split."""
        load_model(self.run, self.follower, self.notes)
        self.follower.eval()
        return {
            split: compare(env, {follower_name(self.config): self.agent()}, self.config.seed, split)
            for split, env in self.evaluation_envs.items()
        }

    def _save_model(self) -> None:
        save_model(self.run, self.follower, {**self.notes, "iteration": str(self.iteration)})

    def _take_up(self, state: dict[str, Any]) -> None:
        try:
            self.follower.load_state_dict(state["weights"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.iteration, self.seconds = state["iteration"], state["seconds"]
            self.best = state["best"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"{self.run / TRAINER}: does not fit the data or the settings ({error}); "
                "resume with what the run was started with"
            ) from error

    def _iterate(self) -> None:
        start = time.perf_counter()
        self._recent.append(self.step())
        self.seconds += time.perf_counter() - start
        if self.iteration % _LOG_EVERY == 0:
            loss, right = np.mean(self._recent, axis=0).tolist()
            figures = {
                "loss": loss,
                "agreement": right,
                "learning_rate": self.optimiser.param_groups[0]["lr"],
                "seconds": self.seconds,
            }
            self.log.write("train", self.iteration, figures)
            self._recent.clear()

    def _bar(self) -> tqdm:
        # A bar of per mille serves runs that end by the clock and by iterations alike.
        return tqdm(
            total=1000,
            desc="training",
            bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining} {postfix}",
            mininterval=0.5 if sys.stderr.isatty() else 20,
        )

    def _show(self, bar: tqdm) -> None:
        rate = self.iteration / max(self.seconds, 1e-9)
        loss = f"{self._recent[-1][0]:.2f}" if self._recent else "-"
        bar.set_postfix_str(f"{self.iteration} it, {rate:.1f} it/s, loss {loss}", refresh=False)
        bar.update(int(1000 * self.progress) - bar.n)


def train(config: TrainConfig) -> Results:
    """Train, compare with the baselines, print the table and write RUN/results.json."""
    trainer = Trainer(config)
    trainer.train()
    results = trainer.results()
    report = {
        "iterations": trainer.iteration,
        "training_seconds": trainer.seconds,
        "best": trainer.best,
        "results": results,
    }
    write_text(trainer.run / RESULTS, json.dumps(report, indent=2) + "\n")
    print(table(results))
    print(f"Run: {trainer.run}")
    return results


def run_folder(config: TrainConfig) -> Path:
    """Folder of a run: the one to resume, the one asked for, or a free default one."""
    if config.resume is not None:
        return config.resume
    if config.output is not None:
        if (config.output / CONFIG).exists():
            raise FileExistsError(
                f"{config.output} holds a run already; go on with it by --resume "
                f"{config.output}, or choose another --output"
            )
        return config.output
    return free_folder(Path("runs") / config.run_name)


def free_folder(folder: Path) -> Path:
    """The folder itself if there is none of that name, else with the next free number."""
    free, number = folder, 2
    while free.exists():
        free, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return free


def _derived_seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)

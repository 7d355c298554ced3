"""Comparison of ways of training, each with several seeds."""

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agents.acting.environments import feature_metadata, make_env
from agents.acting.evaluation import baselines, evaluate
from agents.acting.rollout import Agent
from agents.command_line import parse_agent
from agents.experiments.runs import load_run
from agents.experiments.training import train_any
from agents.settings import MapTrainConfig, TrainConfig
from envs.metrics import SUMMARY_METRICS
from envs.navigation.vector_env import VlnVectorEnv
from storage import write_text
from storage.json_files import read_json
from storage.locks import sole_writer
from storage.processes import run_jobs
from storage.progress import progress_bar
from training.checkpoints import TRAINER, check_metadata
from training.interruption import interruption_message
from training.settings import CONFIG, check_same_run

METRICS = ("SR", "SPL", "nDTW")
SCORES = "scores.json"  # in the folder of a run: scores of each episode, written last
LOG = "output.txt"  # in the folder of a run: output of its training
# Ablations of a follower, as arguments of clipnav train-agent.
ABLATIONS: dict[str, tuple[str, ...]] = {
    "empty-instructions": ("--instruction-ablation", "empty"),
    "shuffled-instructions": ("--instruction-ablation", "shuffled"),
    "no-vision": ("--no-vision",),
}
# Folder and device of a run do not change its result; its features are compared by the metadata of
# its weights.
_MAY_CHANGE = frozenset("resume output features data_dir threads device".split())

# By split and instr_id: the METRICS of an episode, and the id of its path as "path".
Scores = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class ComparisonRow:
    """One row of a comparison.

    Attributes:
        name: Name of the row.
        arguments: Arguments of clipnav train-agent; "{seed}" is replaced by the seed of each
            training.
    """

    name: str
    arguments: tuple[str, ...]

    def arguments_for(self, seed: int) -> list[str]:
        """Return the arguments of the training with a seed."""
        return [
            *(word.replace("{seed}", str(seed)) for word in self.arguments),
            *("--seed", str(seed)),
        ]


@dataclass(frozen=True)
class Job:
    """One training, and the folder of its run."""

    run: Path
    config: TrainConfig | MapTrainConfig


def train_all(
    rows: Sequence[ComparisonRow], seeds: int, folder: Path, workers: int
) -> dict[str, list[Scores]]:
    """Train each row with each seed, and score the best weights of each run.

    Finished runs are read, and interrupted runs are resumed.

    Args:
        rows: Rows with different names.
        seeds: Number of seeds, from 0.
        folder: Folder of the runs.
        workers: Number of worker processes; each trains one run at a time.

    Returns:
        The scores of each seed, by name of the row.

    Raises:
        ValueError: Two names give the same folder; or a run in the folder has other settings or
            was trained on other features.
        ChildProcessError: A training failed or was killed; the message names its log.
        OutputInUseError: Another comparison writes to the folder.
    """
    folders = _folders([row.name for row in rows])
    jobs = {
        row.name: [
            make_job(folder / f"{folders[row.name]}-{seed}", row.arguments_for(seed))
            for seed in range(seeds)
        ]
        for row in rows
    }
    all_jobs = [job for row_jobs in jobs.values() for job in row_jobs]
    folder.mkdir(parents=True, exist_ok=True)
    remedy = (
        f"Finished runs are kept in {folder}; give the same command again to resume the others "
        "from their last saved states"
    )
    with sole_writer(folder), interruption_message(lambda: remedy):
        unfinished = [job for job in all_jobs if not (job.run / SCORES).is_file()]
        trained = run_jobs(run_job, unfinished, workers, "trains")
        total, done = len(all_jobs), len(all_jobs) - len(unfinished)
        for _ in progress_bar(trained, total=total, initial=done, desc="trainings", unit="runs"):
            pass
    return {name: [_read_scores(job.run) for job in row_jobs] for name, row_jobs in jobs.items()}


def make_job(run: Path, arguments: Sequence[str]) -> Job:
    """Return the job of a training in a folder, which is new, interrupted or finished.

    Raises:
        ValueError: The folder contains another training.
    """
    config = replace(parse_agent(arguments), output=run)
    if not (run / CONFIG).is_file():
        return Job(run, config)
    remedy = "choose another --output, or remove the folder of the run"
    check_same_run(run, config, _MAY_CHANGE, "this comparison", remedy)
    if not (run / TRAINER).is_file():  # killed before its first state was saved
        return Job(run, config)
    # Also checked for finished runs, whose scores are read.
    check_metadata(run, feature_metadata(config), remedy)
    return Job(run, replace(config, resume=run))


def run_job(job: Job) -> None:
    """Train a run to its end and write its scores; all output goes to a file in the run.

    Raises:
        ChildProcessError: The training failed or was interrupted.
    """
    job.run.mkdir(parents=True, exist_ok=True)
    log = job.run / LOG
    with (
        log.open("a", encoding="utf-8") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        try:
            train_any(job.config)
        except (SystemExit, FloatingPointError) as end:
            raise ChildProcessError(f"{job.run}: {end} ({log} contains the whole output)") from end
        scores = {}
        for split in job.config.evaluation_splits:
            env, agent = load_run(job.run, split, job.config)
            scores[split] = episode_scores(env, agent, split)
    write_text(job.run / SCORES, json.dumps(scores) + "\n")


def baseline_scores(arguments: Sequence[str], name: str, seeds: int) -> list[Scores]:
    """Return the scores of a baseline for each seed; one if the baseline is deterministic.

    Args:
        arguments: Arguments of clipnav train-agent, as in a row.
        name: "random" or "forward".
        seeds: Number of seeds of the random baseline.
    """
    row = ComparisonRow(name, tuple(arguments))
    config = replace(parse_agent(row.arguments_for(seed=0)), vision=False)
    seed_scores: list[Scores] = [{} for _ in range(seeds if name == "random" else 1)]
    for split in config.evaluation_splits:
        env = make_env(config, split, num_envs=config.evaluation_batch_size)
        for seed, scores in enumerate(seed_scores):
            agent = baselines(env, seed)[name]
            scores[split] = episode_scores(env, agent, f"{split} {name}")
    return seed_scores


def episode_scores(env: VlnVectorEnv, agent: Agent, name: str) -> dict[str, dict[str, float]]:
    """Return the metrics and the path of each episode of a split, see `Scores`."""
    evaluation = evaluate(env, agent, name)
    if not evaluation.scores:
        raise ValueError(
            f"{name}: the goals of the split are not published; compare on another split"
        )
    return {
        episode.instr_id: {
            "path": episode.path_id,
            **{
                short: evaluation.scores[episode.instr_id][SUMMARY_METRICS[short].column]
                for short in METRICS
            },
        }
        for episode in env.episodes
    }


def _folders(names: Sequence[str]) -> Mapping[str, str]:
    folders = {name: re.sub(r"[^\w.+-]+", "-", name) for name in names}
    if len(set(folders.values())) < len(names):
        raise ValueError(f"two of {', '.join(names)} give the same folder; rename one of the rows")
    return folders


def _read_scores(run: Path) -> Scores:
    path = run / SCORES
    remedy = "delete it to score the run again"
    scores = read_json(path, remedy, allow_nan=True)
    if not _are_scores(scores):
        raise ValueError(f"{path}: not the scores of a run; {remedy}")
    return scores


def _are_scores(scores: Any) -> bool:
    """Return whether a value from JSON is a `Scores`."""
    return isinstance(scores, dict) and all(
        isinstance(episodes, dict)
        and all(
            isinstance(metrics, dict) and all(isinstance(v, int | float) for v in metrics.values())
            for metrics in episodes.values()
        )
        for episodes in scores.values()
    )

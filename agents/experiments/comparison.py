"""The same training run several times, with what is to be compared and with several seeds."""

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from agents.acting.environments import feature_metadata, make_env
from agents.acting.evaluation import baselines, evaluate
from agents.acting.rollout import Agent
from agents.command_line import parse_train
from agents.configs import TrainConfig
from agents.experiments.runs import load_run
from agents.learning.follower_training import train
from envs.metrics import SUMMARY_METRICS
from envs.navigation.vector_env import VlnVectorEnv
from storage import write_text
from storage.json_files import read_json
from storage.locks import sole_writer
from storage.processes import run_jobs
from training.checkpoints import TRAINER, check_metadata
from training.interruption import says_when_interrupted
from training.settings import CONFIG, check_same_run

METRICS = ("SR", "SPL", "nDTW")
SCORES = "scores.json"  # within the folder of a run: of each episode, written last
LOG = "output.txt"  # what the training of the run printed
# What may be told a follower less than all, as arguments of train_agent.py.
ABLATIONS: dict[str, tuple[str, ...]] = {
    "no-language": ("--language", "none"),
    "shuffled-language": ("--language", "shuffled"),
    "no-vision": ("--no-vision",),
}
# Where a run is and on what it computes changes nothing that it learns; which features it saw is
# told by the notes of its weights.
_MAY_CHANGE = frozenset("resume output features data_dir threads device".split())

# Of each split, of each episode by instr_id: the METRICS, and the id of the path as "path".
Scores = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class Contestant:
    """One row of a comparison.

    Attributes:
        name: For people.
        arguments: Of train_agent.py; "{seed}" in them stands for the seed of a training.
    """

    name: str
    arguments: tuple[str, ...]

    def told(self, seed: int) -> list[str]:
        """Arguments of the training with a seed."""
        return [
            *(word.replace("{seed}", str(seed)) for word in self.arguments),
            *("--seed", str(seed)),
        ]


@dataclass(frozen=True)
class Job:
    """One training, with the folder of its run."""

    run: Path
    config: TrainConfig


def train_all(
    contestants: Sequence[Contestant], seeds: int, folder: Path, workers: int
) -> dict[str, list[Scores]]:
    """Train each contestant once for each seed, and score its best weights, under a bar.

    Runs that are finished are read, and runs that were stopped go on.

    Args:
        contestants: Different names.
        seeds: How many, from 0.
        folder: Gets the folder of each run.
        workers: Processes, each of which trains one run at a time.

    Returns:
        By name, the scores of each seed.

    Raises:
        ValueError: Two names are alike as folders; or a run in the folder has other settings or
            was trained on other features.
        ChildProcessError: A training failed, with the name of its log, or was killed.
        OutputInUseError: Another comparison trains there.
    """
    folders = _folders([one.name for one in contestants])
    jobs = {
        one.name: [
            make_job(folder / f"{folders[one.name]}-{seed}", one.told(seed))
            for seed in range(seeds)
        ]
        for one in contestants
    }
    every = [job for own in jobs.values() for job in own]
    folder.mkdir(parents=True, exist_ok=True)
    way_on = (
        f"Runs that are finished are kept in {folder}, and those that had begun go on from their "
        "last states when the same command is given again"
    )
    with sole_writer(folder), says_when_interrupted(lambda: way_on):
        left = [job for job in every if not (job.run / SCORES).is_file()]
        trained = run_jobs(carry_out, left, workers, "trains")
        total, done = len(every), len(every) - len(left)
        for _ in tqdm(trained, total=total, initial=done, desc="trainings", unit="run"):
            pass
    return {name: [_read_scores(job.run) for job in own] for name, own in jobs.items()}


def make_job(run: Path, arguments: Sequence[str]) -> Job:
    """The training in a folder, which is new, stopped or finished.

    Raises:
        ValueError: Another training lies there.
    """
    config = replace(parse_train(arguments), output=run)
    if not (run / CONFIG).is_file():
        return Job(run, config)
    remedy = "choose another --output, or remove the folder of the run"
    check_same_run(run, config, _MAY_CHANGE, "this comparison", remedy)
    if not (run / TRAINER).is_file():  # killed before it had anything to go on from
        return Job(run, config)
    # Also for finished runs, whose scores are read.
    check_metadata(run, feature_metadata(config), remedy)
    return Job(run, replace(config, resume=run))


def carry_out(job: Job) -> None:
    """Train to the end and write the scores, with what is printed going to a file in the run.

    Raises:
        ChildProcessError: The training gave up or was stopped.
    """
    job.run.mkdir(parents=True, exist_ok=True)
    log = job.run / LOG
    with (
        log.open("a", encoding="utf-8") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        try:
            train(job.config)
        except (SystemExit, FloatingPointError) as end:
            raise ChildProcessError(f"{job.run}: {end} ({log} has all that was printed)") from end
        scores = {}
        for split in job.config.evaluation_splits:
            env, agent = load_run(job.run, split, job.config)
            scores[split] = episode_scores(env, agent, split)
    write_text(job.run / SCORES, json.dumps(scores) + "\n")


def baseline_scores(arguments: Sequence[str], name: str, seeds: int) -> list[Scores]:
    """Scores of a baseline, with as many seeds as it knows of.

    Args:
        arguments: Of train_agent.py, as a contestant's.
        name: "random" or "forward".
        seeds: How many random baselines.
    """
    told = Contestant(name, tuple(arguments)).told(seed=0)
    config = replace(parse_train(told), vision=False)
    # The walk straight ahead knows no chance.
    found: list[Scores] = [{} for _ in range(seeds if name == "random" else 1)]
    for split in config.evaluation_splits:
        env = make_env(config, split, num_envs=config.evaluation_batch_size)
        for seed, scores in enumerate(found):
            agent = baselines(env, seed)[name]
            scores[split] = episode_scores(env, agent, f"{split} {name}")
    return found


def episode_scores(env: VlnVectorEnv, agent: Agent, name: str) -> dict[str, dict[str, float]]:
    """The metrics of each episode of a split, and its path; see `Scores`."""
    evaluation = evaluate(env, agent, name)
    if not evaluation.scores:
        raise ValueError(f"{name}: the goals of the split are secret, nothing can be compared")
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
        raise ValueError(f"two of {', '.join(names)} are alike; give each row a name of its own")
    return folders


def _read_scores(run: Path) -> Scores:
    path = run / SCORES
    remedy = "delete it to score the run anew"
    scores = read_json(path, remedy, allow_nan=True)
    if not _are_scores(scores):
        raise ValueError(f"{path}: not the scores of a run; {remedy}")
    return scores


def _are_scores(scores: Any) -> bool:
    """Whether a value from JSON is a `Scores`."""
    return isinstance(scores, dict) and all(
        isinstance(episodes, dict)
        and all(
            isinstance(one, dict) and all(isinstance(v, int | float) for v in one.values())
            for one in episodes.values()
        )
        for episodes in scores.values()
    )

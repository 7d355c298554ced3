"""Comparison of ways of training an agent, each with several seeds."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clipnav.agents.acting.environments import feature_metadata, make_env
from clipnav.agents.acting.evaluation import baselines, evaluate
from clipnav.agents.acting.rollout import Agent
from clipnav.agents.clear.loading import representation_metadata
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.experiments.training import train
from clipnav.agents.settings.command_line import parse_agent
from clipnav.envs.episodes.episode import check_goals
from clipnav.envs.episodes.loading import load_episodes
from clipnav.envs.metrics import mean_metrics
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.worlds import world_files
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.training.comparisons import (
    SCORES,
    ComparisonRow,
    Job,
    Scores,
    logged,
    resumable_job,
    train_rows,
)

# Ablations of a follower, as arguments of clipnav train-agent.
ABLATIONS: dict[str, tuple[str, ...]] = {
    "empty-instructions": ("--instruction-ablation", "empty"),
    "shuffled-instructions": ("--instruction-ablation", "shuffled"),
    "no-vision": ("--no-vision",),
}
# Folder and device of a run do not change its result; its features and representations are compared
# by the metadata of its weights.
_MAY_CHANGE = frozenset("resume output features data_dir threads device".split())


def train_all(
    rows: Sequence[ComparisonRow], seeds: int, folder: Path, workers: int
) -> dict[str, list[Scores]]:
    """Train each row, with arguments of clipnav train-agent, with each seed; see `train_rows`."""
    return train_rows(rows, seeds, folder, workers, make_job, run_job)


def check_episodes(rows: Sequence[ComparisonRow]) -> None:
    """Check before any training that all rows are scored on the same episodes, with known goals."""
    episodes: dict[tuple[Any, ...], frozenset[str]] = {}
    first: dict[str, frozenset[str]] = {}
    for row in rows:
        config = parse_agent(row.arguments_for(seed=0))
        files, language = world_files(config.world, config.data_dir), config.instruction_language
        for split in config.evaluation_splits:
            key = (config.dataset, split, config.world, config.data_dir, language)
            if key not in episodes:
                loaded = load_episodes(config.dataset, split, files, language)
                check_goals(loaded, split)
                episodes[key] = frozenset(episode.instr_id for episode in loaded)
            if first.setdefault(split, episodes[key]) != episodes[key]:
                raise UserError(
                    f"{row.name}: is scored on other episodes of {split} than {rows[0].name}; give "
                    "all rows the same dataset, world, data folder and instruction language, "
                    "after --, where they also apply to baselines"
                )


def make_job(run: Path, arguments: Sequence[str]) -> Job:
    """Return the job of a training in a folder, which is new, interrupted or finished."""
    config = parse_agent(arguments)
    return resumable_job(
        run,
        config,
        _MAY_CHANGE,
        lambda: {**feature_metadata(config), **representation_metadata(config)},
    )


def run_job(job: Job) -> None:
    """Train a run to its end and write its scores; all output goes to a file in the run."""
    with logged(job.run):
        train(job.config)
        scores = {}
        for split in job.config.evaluation_splits:
            env, agent = load_run(job.run, split, job.config)
            scores[split] = _episode_scores(env, agent, split)
    write_text(job.run / SCORES, json.dumps(scores) + "\n")


def baseline_scores(arguments: Sequence[str], name: str, seeds: int) -> list[Scores]:
    """Return the scores of a baseline for each seed; one if the baseline is deterministic."""
    row = ComparisonRow(name, tuple(arguments))
    config = replace(parse_agent(row.arguments_for(seed=0)), vision=False)
    seed_scores: list[Scores] = [{} for _ in range(seeds if name == "random" else 1)]
    for split in config.evaluation_splits:
        env = make_env(config, split, num_envs=config.evaluation_batch_size)
        for seed, scores in enumerate(seed_scores):
            agent = baselines(env, seed)[name]
            scores[split] = _episode_scores(env, agent, f"{split} {name}")
    return seed_scores


def _episode_scores(env: VlnVectorEnv, agent: Agent, name: str) -> dict[str, dict[str, float]]:
    """Return the metrics and the number of the building of each episode, see `Scores`."""
    check_goals(env.episodes, name)
    evaluation = evaluate(env, agent, name)
    scans = sorted({episode.scan for episode in env.episodes})
    return {
        episode.instr_id: {
            "building": scans.index(episode.scan),
            **{
                short: evaluation.scores[episode.instr_id][metric.column]
                for short, metric in mean_metrics("comparison").items()
            },
        }
        for episode in env.episodes
    }

"""Evaluation of continuous agents beside agents that do not learn, and their submissions."""

import json

import torch

from agents.continuous.evaluation_settings import EvaluateContinuousConfig
from agents.continuous.tables import results_table
from agents.continuous.tasks import ContinuousTask, load_continuous_run
from agents.continuous.walking import (
    ExpertWalker,
    ForwardWalker,
    NetworkWalker,
    RandomWalker,
    spread,
    walk_all,
)
from envs.continuous.environments.vector_env import ContinuousVectorEnv
from envs.continuous.files.submissions import write_r2r_ce_submission, write_rxr_ce_submission
from envs.continuous.measures import summarise_walks
from envs.continuous.traces import Trace
from envs.continuous.walkers import Walker
from storage import write_text
from storage.progress import progress_bar
from training.learners import Summary
from training.setup import iteration_seed

_BASELINES = 75

Results = dict[str, dict[str, Summary]]


def evaluate_continuous_run(config: EvaluateContinuousConfig) -> Results:
    """Evaluate the agent of a run on splits; print the scores, and write them if requested.

    Returns:
        Mean measures by split and agent.

    Raises:
        FileNotFoundError, ValueError: As in `load_continuous_run`, or a split does not exist.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    task, agent = load_continuous_run(config.run, config.device)
    for split in config.splits:  # missing ones are reported before the first walk
        task.split(split)
    results = {split: _evaluate(config, task, agent, split) for split in config.splits}
    print(results_table(results))
    if config.json is not None:
        write_text(config.json, json.dumps({"results": results}, indent=2) + "\n")
    return results


def _evaluate(
    config: EvaluateContinuousConfig, task: ContinuousTask, agent: NetworkWalker, split: str
) -> dict[str, Summary]:
    traces: dict[str, Trace] | None = None if config.submission is None else {}
    name, size = task.config.network.kind, config.batch_size
    results = {
        name: _walk(task.env(split, size), agent, config.episodes, f"{split} {name}", traces)
    }
    if config.submission is not None and traces is not None:
        write = write_rxr_ce_submission if task.config.dataset == "rxr" else write_r2r_ce_submission
        write(config.submission, traces, task.split(split).episodes)
        print(f"{len(traces)} walks: {config.submission}")
    if config.baselines:
        results |= evaluate_baselines(task, split, size, config.episodes)
    return results


def evaluate_split(
    task: ContinuousTask, agent: Walker, split: str, episodes: int | None
) -> dict[str, Summary]:
    """Return the mean measures of an agent, under the kind of its network, and of the baselines.

    Args:
        task: The agent's task.
        agent: The agent.
        split: Split to walk.
        episodes: Number of episodes, spread over the split; None for all.
    """
    name, size = task.config.network.kind, task.config.evaluation_batch_size
    measured = _walk(task.env(split, size), agent, episodes, f"{split} {name}")
    return {name: measured, **evaluate_baselines(task, split, size, episodes)}


def evaluate_baselines(
    task: ContinuousTask, split: str, size: int, episodes: int | None
) -> dict[str, Summary]:
    """Return the mean measures of VLN-CE's two agents that do not learn, and of the expert.

    Args:
        task: Task of the trained agent.
        split: Split to walk.
        size: Number of episodes in a batch.
        episodes: Number of episodes, spread over the split; None for all.
    """
    return {
        name: _walk(task.env(split, size, draws=False), walker, episodes, f"{split} {name}")
        for name, walker in baseline_walkers(task).items()
    }


def baseline_walkers(task: ContinuousTask) -> dict[str, Walker]:
    """Return VLN-CE's "random" and "forward" agents and the "expert" of a task."""
    seed, circle = task.config.seed, task.settings.turns_per_circle
    return {
        "random": RandomWalker(iteration_seed(seed, _BASELINES, 0)),
        "forward": ForwardWalker(iteration_seed(seed, _BASELINES, 1), circle),
        "expert": ExpertWalker(),
    }


def _walk(
    env: ContinuousVectorEnv,
    walker: Walker,
    episodes: int | None,
    label: str,
    traces: dict[str, Trace] | None = None,
) -> Summary:
    """Walk some episodes of an environment; add their traces by `episode_id` if requested."""
    chosen = spread(len(env.episodes), episodes)
    with progress_bar(total=len(chosen), desc=label, unit="episodes") as bar:

        def finished(part: list[int]) -> None:
            bar.update(len(part))
            if traces is not None:
                for number, trace in zip(part, env.traces(), strict=False):
                    traces[env.episodes[number].episode_id] = trace

        return summarise_walks(walk_all(env, walker, chosen, finished))

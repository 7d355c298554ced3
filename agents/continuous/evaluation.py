"""Evaluation of continuous agents beside agents that do not learn, and their submissions."""

from collections.abc import Callable

import torch

from clipnav.agents.acting.evaluation import Results, evaluate_splits, table
from clipnav.agents.continuous.settings import EvaluateContinuousConfig
from clipnav.agents.continuous.tasks import SplitTask, load_continuous_run
from clipnav.agents.continuous.walking import (
    ExpertWalker,
    ForwardWalker,
    RandomWalker,
    never,
    spread,
    walk_all,
)
from clipnav.envs.continuous.coordinates import PoseTrace
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.files.submissions import write_ce_submission
from clipnav.envs.continuous.measures import PHYSICAL_METRICS, continuous_metrics, summarise_walks
from clipnav.envs.continuous.walkers import Walker
from clipnav.storage.errors import pluralise
from clipnav.storage.progress import progress_bar
from clipnav.training.allocation import keep_freed_memory
from clipnav.training.learners import Summary
from clipnav.training.streams import Stream, iteration_seed


def evaluate_continuous_run(config: EvaluateContinuousConfig) -> Results:
    """Evaluate the agent of a run on splits; print the scores, and write them if requested."""
    keep_freed_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    task, agent = load_continuous_run(config.run, config.device, config.changes())
    for split in config.splits:  # missing ones are reported before the first walk
        task.split(split)
    results = evaluate_splits(
        config.splits, lambda split: {split: _evaluate(config, task, agent, split)}, config.json
    )
    print(table(results, continuous_metrics() | PHYSICAL_METRICS))
    return results


def _evaluate(
    config: EvaluateContinuousConfig, task: SplitTask, agent: Walker, split: str
) -> dict[str, Summary]:
    size, episodes = config.batch_size, config.episodes
    measured, traces = _walk_split(task, agent, split, size, episodes)
    if config.submission is not None:
        write_ce_submission(
            config.submission, traces, task.split(split).episodes, task.config.dataset
        )
        print(f"{pluralise(len(traces), 'walk')}: {config.submission}")
    has_goals = any(episode.has_goal for episode in task.split(split).episodes)
    if not (config.baselines and has_goals):
        return measured
    return measured | _walk_baselines(task, split, size, episodes)


def validate(
    task: SplitTask, make_walker: Callable[[], Walker], check: Callable[[], None] = never
) -> dict[str, Summary]:
    """Return the summaries of walks on some episodes of each evaluation split, during training.

    Args:
        make_walker: Called for each split, as an agent that samples has random numbers of its own.
    """
    summaries = {}
    for split in task.config.evaluation_splits:
        env = task.env(split, task.config.evaluation_batch_size)
        chosen = spread(len(env.episodes), task.config.evaluation_episodes)
        summaries[split] = summarise_walks(walk_all(env, make_walker(), chosen, check=check))
    return summaries


def evaluate_split(
    task: SplitTask, agent: Walker, split: str, episodes: int | None
) -> dict[str, Summary]:
    """Return the mean measures of an agent, under its name, and of the baselines."""
    size = task.config.evaluation_batch_size
    measured, _ = _walk_split(task, agent, split, size, episodes)
    return measured | _walk_baselines(task, split, size, episodes)


def baseline_walkers(task: SplitTask) -> dict[str, Walker]:
    """Return VLN-CE's "random" and "forward" agents and the "expert" of a task."""
    seed, circle = task.config.seed, task.settings.turns_per_circle
    return {
        "random": RandomWalker(iteration_seed(seed, Stream.CONTINUOUS_BASELINES, 0)),
        "forward": ForwardWalker(iteration_seed(seed, Stream.CONTINUOUS_BASELINES, 1), circle),
        "expert": ExpertWalker(),
    }


def _walk_split(
    task: SplitTask, agent: Walker, split: str, size: int, episodes: int | None
) -> tuple[dict[str, Summary], dict[str, PoseTrace]]:
    """Return the measures of the trained agent under its name, and its traces by `episode_id`.

    Where the goals are secret there are no measures.
    """
    name = task.name
    summary, traces = _walk(task.env(split, size), agent, episodes, f"{split} {name}")
    return {name: summary}, traces


def _walk_baselines(
    task: SplitTask, split: str, size: int, episodes: int | None
) -> dict[str, Summary]:
    return {
        name: _walk(task.env(split, size, draws=False), walker, episodes, f"{split} {name}")[0]
        for name, walker in baseline_walkers(task).items()
    }


def _walk(
    env: ContinuousVectorEnv, walker: Walker, episodes: int | None, label: str
) -> tuple[Summary, dict[str, PoseTrace]]:
    chosen = spread(len(env.episodes), episodes)
    traces: dict[str, PoseTrace] = {}
    with progress_bar(total=len(chosen), desc=label, unit="episodes") as bar:

        def finished(part: list[int]) -> None:
            bar.update(len(part))
            for number, trace in zip(part, env.traces(), strict=False):
                traces[env.episodes[number].episode_id] = trace

        measured = [walk for walk in walk_all(env, walker, chosen, finished) if walk]
    return summarise_walks(measured) if measured else {}, traces

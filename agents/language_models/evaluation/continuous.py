"""Evaluation in continuous space: the maker of walks, scores beside baselines, and submissions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clipnav.agents.continuous.walking import ExpertWalker, ForwardWalker, RandomWalker, walk_all
from clipnav.agents.language_models.evaluation.scores import EpisodeScores
from clipnav.agents.language_models.settings import EvaluateVlmConfig
from clipnav.agents.language_models.strategies.steps import steps_prompt
from clipnav.agents.language_models.walks.asking import Strategy, WalkSettings
from clipnav.agents.language_models.walks.continuous import ContinuousWalk, ContinuousWalkMaker
from clipnav.agents.language_models.walks.running import Finished
from clipnav.envs.continuous.episodes import continuous_episodes, split_of_episodes
from clipnav.envs.continuous.files.submissions import write_ce_submission
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.settings import task_settings
from clipnav.envs.continuous.walkers import Walker
from clipnav.envs.episodes import Episode
from clipnav.envs.episodes.splits import LoadedSplit
from clipnav.envs.worlds import is_built_in
from clipnav.storage.errors import UserError

_ENVS = 16


def continuous_maker(
    config: EvaluateVlmConfig,
    split: LoadedSplit,
    subset: Sequence[Episode],
    settings: WalkSettings,
    strategy: Strategy | None,
) -> ContinuousWalkMaker:
    """Return the maker of walks in continuous space.

    Args:
        config: Settings of the evaluation.
        split: The whole split, whose order gives the ids of R2R-CE.
        subset: Chosen episodes.
        settings: Settings of the walks.
        strategy: Strategy; by default a choice among steps and turns.

    Raises:
        UserError: The world has no floors and cameras of its own.
    """
    if not is_built_in(config.world):
        raise UserError(
            f"--world {config.world} has no floors and no cameras for continuous walks; use a "
            "built-in world"
        )
    chosen = {episode.instr_id for episode in subset}
    dataset = config.dataset
    episodes = continuous_episodes(dataset, split.episodes, split.files.connectivity_dir)
    changes: dict[str, Any] = {"rgb_size": (config.prompt.image_size, config.prompt.image_size)}
    changes["observe"] = () if config.prompt.picture_kind == "none" else ("rgb",)
    if config.max_episode_steps is not None:
        changes["max_episode_steps"] = config.max_episode_steps
    task = task_settings(dataset, shuffle=False, **changes)
    return ContinuousWalkMaker(
        split_of_episodes(dataset, [e for e in episodes if e.instr_id in chosen], split.tokenizer),
        strategy or steps_prompt,
        settings,
        task,
        HouseSimulator(task),
    )


def continuous_evaluations(
    maker: ContinuousWalkMaker, config: EvaluateVlmConfig, finished: Finished, scored: Sequence[Any]
) -> dict[str, EpisodeScores]:
    """Return the measures of the model, of VLN-CE's two baselines and of the expert."""
    walks = _walks(finished)
    names = [episode.instr_id for episode in scored]
    evaluations: dict[str, EpisodeScores] = {
        config.model_name: {name: walks[name].measures for name in names}
    }
    env = maker.make_env(min(_ENVS, len(scored)))
    rows = {episode.instr_id: row for row, episode in enumerate(env.episodes)}
    walkers: dict[str, Walker] = {
        "random": RandomWalker(config.seed),
        "forward": ForwardWalker(config.seed, maker.task.turns_per_circle),
        "expert": ExpertWalker(),
    }
    for agent, walker in walkers.items():
        measures = walk_all(env, walker, [rows[name] for name in names])
        evaluations[agent] = dict(zip(names, measures, strict=True))
    return evaluations


def write_continuous_submission(
    path: Path, config: EvaluateVlmConfig, split: LoadedSplit, finished: Finished
) -> None:
    """Write the walks for the test server of R2R-CE or RxR-CE."""
    dataset = config.dataset
    episodes = continuous_episodes(dataset, split.episodes, split.files.connectivity_dir)
    traces = {walk.episode.episode_id: walk.trace for walk in _walks(finished).values()}
    write_ce_submission(path, traces, episodes, dataset, partial=True)


def _walks(finished: Finished) -> dict[str, ContinuousWalk]:
    return {n: walk for n, walk in finished.walks.items() if isinstance(walk, ContinuousWalk)}

"""Scoring agents over whole splits, and the table that compares them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from tqdm import tqdm

from agents.acting.baselines import ForwardAgent, RandomAgent, TeacherAgent
from agents.acting.rollout import Agent, walk
from agents.configs import Language, TrainConfig
from envs.episodes import Episode, base_language
from envs.metrics import SUMMARY_METRICS, aligned, score_paths, summarise, summarise_groups
from envs.navigation.vector_env import VlnVectorEnv
from training import distributed
from training.learners import Summary

Pose = tuple[str, float, float]
# By split or a language of it, then by agent.
Results = dict[str, dict[str, Summary]]

_COLUMNS = ("TL", "NE", "OSR", "SR", "SPL", "nDTW", "sDTW")
_DECIMALS = {"m": 2, "%": 1}
_DEPRIVED: dict[Language, list[str]] = {
    "read": [],
    "none": ["no language"],
    "shuffled": ["shuffled language"],
}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """An agent's walks through a split.

    Attributes:
        trajectories: By instr_id, poses (viewpoint, heading, elevation) from start to end.
        scores: By instr_id, the metrics of `envs.metrics.score_path`; empty for a split whose goals
            are secret.
        languages: By instr_id, the language without its country.
    """

    trajectories: dict[str, list[Pose]]
    scores: dict[str, dict[str, float]]
    languages: dict[str, str]

    def summary(self) -> Summary:
        """Means over all episodes."""
        return summarise(list(self.scores.values()))

    def by_language(self) -> dict[str, Summary]:
        """Means per language."""
        languages = [self.languages[instr_id] for instr_id in self.scores]
        return summarise_groups(list(self.scores.values()), languages)


def evaluate(env: VlnVectorEnv, agent: Agent, name: str = "") -> Evaluation:
    """Let an agent walk every episode of an environment's split once.

    Several processes share the episodes, and all of them get the whole evaluation.

    Args:
        env: Environment without autoreset.
        agent: Put a network into evaluation mode before.
        name: Label of the progress bar; no bar without it.
    """
    episodes = by_length(env.episodes)[distributed.rank() :: distributed.world_size()]
    trajectories: dict[str, list[Pose]] = {}
    hidden = not name or distributed.rank() > 0
    with (
        torch.inference_mode(),
        tqdm(total=len(episodes), desc=name, unit="episode", leave=False, disable=hidden) as bar,
    ):
        for start in range(0, len(episodes), env.num_envs):
            ids = [episode.instr_id for episode in episodes[start : start + env.num_envs]]
            walk(env, agent, ids)
            trajectories |= zip(ids, env.trajectories(), strict=False)
            bar.update(len(ids))
    shared = distributed.all_gather(trajectories)
    return score_walks(env, {name: poses for part in shared for name, poses in part.items()})


def by_length(episodes: Sequence[Episode]) -> list[Episode]:
    """Episodes with the longest instruction first: those of a batch are alike then."""
    return sorted(episodes, key=lambda episode: -len(episode.instruction))


def score_walks(env: VlnVectorEnv, trajectories: Mapping[str, list[Pose]]) -> Evaluation:
    """Score a walk for each episode of an environment's split."""
    known = [episode for episode in env.episodes if episode.has_goal]
    scores: dict[str, dict[str, float]] = {}
    if known:
        columns = score_paths(
            [env.nav_world.graphs[episode.scan] for episode in known],
            [[pose[0] for pose in trajectories[episode.instr_id]] for episode in known],
            [episode.path for episode in known],
        )
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        scores = {
            episode.instr_id: dict(zip(columns, row, strict=True))
            for episode, row in zip(known, rows, strict=True)
        }
    return Evaluation(
        trajectories={e.instr_id: trajectories[e.instr_id] for e in env.episodes},
        scores=scores,
        languages={e.instr_id: base_language(e.language) for e in env.episodes},
    )


def summaries(split: str, evaluation: Evaluation) -> dict[str, Summary]:
    """Summary of a split, and of each language if there are several, as "split/language"."""
    languages = evaluation.by_language()
    parts = {f"{split}/{language}": summary for language, summary in languages.items()}
    return {split: evaluation.summary(), **(parts if len(parts) > 1 else {})}


def compare(env: VlnVectorEnv, agents: Mapping[str, Agent], seed: int, split: str) -> Results:
    """Summaries of agents, and below them of the baselines, on one split.

    Args:
        env: Environment over the split.
        agents: By name.
        seed: Of the random baseline.
        split: Name of the split.
    """
    results: Results = {}
    for who, agent in {**agents, **baselines(env, seed)}.items():
        for part, summary in summaries(split, evaluate(env, agent, f"{split} {who}")).items():
            results.setdefault(part, {})[who] = summary
    return results


def baselines(env: VlnVectorEnv, seed: int) -> dict[str, Agent]:
    """Agents that learn nothing, by name; the random one draws from the seed."""
    world = env.nav_world
    way = {"shortest": "shortest path", "reference": "reference path"}[env.teacher]
    return {
        "random": RandomAgent(world, seed),
        "forward": ForwardAgent(world),
        way: TeacherAgent(),
    }


def follower_name(config: TrainConfig) -> str:
    """How tables call a follower."""
    deprived = [] if config.vision else ["no vision"]
    deprived += _DEPRIVED[config.language]
    return f"follower ({', '.join(deprived)})" if deprived else "follower"


def table(results: Mapping[str, Mapping[str, Summary]]) -> str:
    """Aligned text: a line per split and agent; TL and NE in metres, the rest in per cent."""
    rows = [["split", "agent", *_COLUMNS]]
    for split, agents in results.items():
        for agent, summary in agents.items():
            rows.append([split, agent, *(_printed(name, summary[name]) for name in _COLUMNS)])
    return aligned(rows, texts=2)


def _printed(name: str, value: float) -> str:
    """Return a metric as tables print it."""
    metric = SUMMARY_METRICS[name]
    return f"{metric.factor * value:.{_DECIMALS[metric.unit]}f}"

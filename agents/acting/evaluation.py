"""Evaluation of agents on whole splits, and the table that compares them."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import torch

from clipnav.agents.acting.baselines import ForwardAgent, NameAgent, RandomAgent, TeacherAgent
from clipnav.agents.acting.rollout import Agent, walk_to_ends
from clipnav.agents.settings import AgentConfig, InstructionAblation
from clipnav.agents.settings.evaluation import BASELINES, OBJECT_NAMES
from clipnav.agents.specs import agent_spec
from clipnav.envs.base.infos import check_batch
from clipnav.envs.episodes import Episode, base_language
from clipnav.envs.episodes.chains import chain_rounds, moved
from clipnav.envs.goals.scores import dataset_scores, score_episodes
from clipnav.envs.graphs.goal import ObjectAnswer
from clipnav.envs.metrics import Metric, aligned, metrics, summarise
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage import write_text
from clipnav.storage.progress import progress_bar
from clipnav.training import distributed
from clipnav.training.learners import Summary

Pose = tuple[str, float, float]
# Summaries by split, or by split/language, and then by agent.
Results = dict[str, dict[str, Summary]]
# Walks episodes, given an environment, an agent, its name and the ids.
NamedWalk = Callable[[VlnVectorEnv, Agent, str, list[str]], object]

_ABLATIONS: dict[InstructionAblation, list[str]] = {
    "none": [],
    "empty": ["empty instructions"],
    "shuffled": ["shuffled instructions"],
}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Trajectories and scores of an agent on a split.

    Attributes:
        trajectories: Poses (viewpoint, heading, elevation) from start to end, by instr_id.
        scores: Metrics of `clipnav.envs.metrics.score_path`, by instr_id; empty for a split whose
            goals are not published.
        languages: Language without its country, by instr_id.
        own_metrics: Metrics of the dataset alone, by short name.
        answers: Objects that the agent has pointed out, by instr_id.
    """

    trajectories: dict[str, list[Pose]]
    scores: dict[str, dict[str, float]]
    languages: dict[str, str]
    own_metrics: Mapping[str, Metric] = field(default_factory=dict)
    answers: Mapping[str, ObjectAnswer] = field(default_factory=dict)

    def summary(self) -> Summary:
        """Return the means over all episodes by short name (SR, SPL, ...), see docs/metrics.md."""
        return self._means(list(self.scores.values()))

    def by_language(self) -> dict[str, Summary]:
        """Return the means of each language."""
        groups: dict[str, list[dict[str, float]]] = {}
        for instr_id, scores in self.scores.items():
            groups.setdefault(self.languages[instr_id], []).append(scores)
        return {language: self._means(groups[language]) for language in sorted(groups)}

    def _means(self, scores: list[dict[str, float]]) -> Summary:
        return summarise(scores, {**metrics(), **self.own_metrics})


def evaluate(env: VlnVectorEnv, agent: Agent, name: str = "") -> Evaluation:
    """Walk every episode of an environment's split once and score the trajectories.

    The agent acts in torch's inference mode. Several ranks share the episodes; all of them return
    the whole evaluation.

    Args:
        env: Environment without autoreset; it walks `num_envs` episodes at a time.
        agent: Agent, with its network in evaluation mode.
        name: Label of the progress bar; without it there is no bar.

    Raises:
        TypeError, UserError: The environment has no batch of agents, or autoreset.
    """
    return evaluate_walks(env, lambda place, ids: walk_to_ends(place, agent, ids), name)


def evaluate_walks(
    env: VlnVectorEnv, walk_batch: Callable[[VlnVectorEnv, list[str]], object], name: str = ""
) -> Evaluation:
    """Evaluate an agent that walks in its own way, see `evaluate`.

    Args:
        walk_batch: Walks episodes, given an environment and their ids. For chains, the environment
            is one whose episodes start where those that they follow have ended.
    """
    check_batch(env)
    rank, world_size = distributed.rank(), distributed.world_size()
    rounds = chain_rounds(env.episodes)
    shares = [by_length(episodes)[rank::world_size] for episodes in rounds]
    whole: dict[str, tuple[list[Pose], ObjectAnswer | None]] = {}
    with (
        torch.inference_mode(),
        progress_bar(
            total=sum(map(len, shares)),
            desc=name,
            unit="episodes",
            leave=False,
            disable=not name or rank > 0,
        ) as bar,
    ):
        for number, (episodes, share) in enumerate(zip(rounds, shares, strict=True)):
            place = env
            if number:
                ends = {name: poses[-1][:2] for name, (poses, _) in whole.items()}
                place = env.over(moved(episodes, env.nav_world.graphs, ends))
            walked: dict[str, tuple[list[Pose], ObjectAnswer | None]] = {}
            for start in range(0, len(share), env.num_envs):
                ids = [episode.instr_id for episode in share[start : start + env.num_envs]]
                walk_batch(place, ids)
                results = zip(place.trajectories(), place.answers(), strict=True)
                walked |= zip(ids, results, strict=False)
                bar.update(len(ids))
            for part in distributed.all_gather(walked):
                whole |= part
    answers = {name: answer for name, (_, answer) in whole.items() if answer is not None}
    return score_walks(env, {name: poses for name, (poses, _) in whole.items()}, answers)


def by_length(episodes: Sequence[Episode]) -> list[Episode]:
    """Sort episodes by decreasing instruction length, which reduces padding."""
    return sorted(episodes, key=lambda episode: -len(episode.instruction))


def score_walks(
    env: VlnVectorEnv,
    trajectories: Mapping[str, list[Pose]],
    answers: Mapping[str, ObjectAnswer] = MappingProxyType({}),
) -> Evaluation:
    """Score a trajectory, and perhaps an answer, for each episode of an environment's split."""
    own = dataset_scores(env.split.dataset)
    ends = {name: poses[-1][:2] for name, poses in trajectories.items()}
    episodes = moved(env.episodes, env.nav_world.graphs, ends)
    known = [episode for episode in episodes if episode.has_goal]
    scores: dict[str, dict[str, float]] = {}
    if known:
        columns = score_episodes(
            env.split.dataset,
            [env.nav_world.graphs[episode.scan] for episode in known],
            known,
            [[pose[0] for pose in trajectories[episode.instr_id]] for episode in known],
            answers={name: own.pointed(answer) for name, answer in answers.items()} if own else {},
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
        own_metrics=own.metrics if own else {},
        answers=dict(answers),
    )


def summaries(split: str, evaluation: Evaluation) -> dict[str, Summary]:
    """Return the summary of a split and, if it has several languages, those of "split/language"."""
    languages = evaluation.by_language()
    parts = {f"{split}/{language}": summary for language, summary in languages.items()}
    return {split: evaluation.summary(), **(parts if len(parts) > 1 else {})}


def compare(env: VlnVectorEnv, agents: Mapping[str, Agent], seed: int, split: str) -> Results:
    """Evaluate agents, and then the baselines, on one split."""
    return as_results(split, evaluate_all(env, {**agents, **baselines(env, seed)}, split))


def evaluate_all(
    env: VlnVectorEnv,
    agents: Mapping[str, Agent],
    split: str,
    record_batch: NamedWalk | None = None,
) -> dict[str, Evaluation]:
    """Evaluate agents on one split, by name."""
    walk_named = record_batch or (lambda place, agent, _, ids: walk_to_ends(place, agent, ids))

    def walk_by(agent: Agent, name: str) -> Callable[[VlnVectorEnv, list[str]], object]:
        return lambda place, ids: walk_named(place, agent, name, ids)

    return {
        name: evaluate_walks(env, walk_by(agent, name), f"{split} {name}")
        for name, agent in agents.items()
    }


def evaluate_splits(
    splits: Iterable[str], evaluate_split: Callable[[str], Results], path: Path | None
) -> Results:
    """Evaluate splits one after the other; return the summaries of all of them.

    Those so far are written after each split, so that an interruption loses only one.
    """
    results: Results = {}
    for split in splits:
        results |= evaluate_split(split)
        if path is not None:
            write_text(path, json.dumps({"results": results}, indent=2) + "\n")
    return results


def as_results(split: str, evaluations: Mapping[str, Evaluation]) -> Results:
    """Return the summaries of agents on one split, see `summaries`.

    The baseline that compares names of objects is in the parts in their language only.
    """
    results: Results = {}
    for name, evaluation in evaluations.items():
        parts = summaries(split, evaluation)
        if name == OBJECT_NAMES and set(evaluation.languages.values()) != {NameAgent.language}:
            part = f"{split}/{NameAgent.language}"
            parts = {part: parts[part]} if part in parts else {}
        for part, summary in parts.items():
            results.setdefault(part, {})[name] = summary
    return results


def baselines(env: VlnVectorEnv, seed: int) -> dict[str, Agent]:
    """Return the non-learning baselines by name; the random one uses the seed."""
    world = env.nav_world
    random, forward, shortest, reference, _ = BASELINES
    teacher = {"shortest": shortest, "reference": reference}[env.teacher]
    return {
        random: RandomAgent(world, seed),
        forward: ForwardAgent(world),
        teacher: TeacherAgent(),
        **({} if env.objects is None else {OBJECT_NAMES: NameAgent(env.objects)}),
    }


def agent_name(config: AgentConfig) -> str:
    """Return the name of an agent in tables, with its ablations."""
    name = agent_spec(config.agent).label
    ablations = [] if config.vision else ["no vision"]
    ablations += _ABLATIONS[config.instruction_ablation]
    return f"{name} ({', '.join(ablations)})" if ablations else name


def table(results: Mapping[str, Mapping[str, Summary]], columns: Mapping[str, Metric]) -> str:
    """Return an aligned table with a line per split and agent.

    Args:
        columns: Metrics by short name. A measure that a summary lacks, such as the steps of a walk
            on a navigation graph, is printed as "-".
    """
    rows = [["split", "agent", *columns]]
    for split, agents in results.items():
        for agent, summary in agents.items():
            row = [split, agent]
            for name, metric in columns.items():
                value = summary.get(name, math.nan)
                row.append("-" if math.isnan(value) else metric.text(value))
            rows.append(row)
    return aligned(rows, texts=2)


def dataset_table(results: Mapping[str, Mapping[str, Summary]], dataset: str) -> str:
    """Return the table of results on a dataset, with the metrics that it adds."""
    own = dataset_scores(dataset)
    return table(results, {**metrics("table"), **(own.metrics if own else {})})

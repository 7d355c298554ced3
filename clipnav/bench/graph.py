"""Parts of suites on navigation graphs: an agent walks a split, and walks are scored again."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from gymnasium.vector import AutoresetMode

from clipnav.agents.acting.environments import make_env
from clipnav.agents.acting.evaluation import evaluate
from clipnav.agents.acting.rollout import Agent
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.settings import AgentConfig, read_agent_config
from clipnav.bench.entrants import BenchTask, Entrant, GuardedAgent, Readable
from clipnav.bench.kinds import RunOptions, Walked, episode_clusters
from clipnav.bench.suites import Place, Suite, SuitePart, check_data, data_digest
from clipnav.envs.episodes import Episode, load_episodes
from clipnav.envs.episodes.episode import check_goals, path_problems
from clipnav.envs.episodes.splits import load_split
from clipnav.envs.goals.scores import dataset_scores, score_episodes
from clipnav.envs.graphs.goal import ObjectAnswer
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.metrics import Metric, metrics
from clipnav.envs.navigation.objects import WorldObjects
from clipnav.envs.navigation.vector_env import VlnVectorEnv, split_objects
from clipnav.envs.navigation.vln_env import make_vln_vector_env
from clipnav.training.settings import read_config


class _Pointed(msgspec.Struct, forbid_unknown_fields=True):
    """Walk that ends by pointing out an object."""

    viewpoints: list[str]
    object: str


@dataclass(frozen=True, eq=False)
class GraphTask:
    """Episodes and graphs of a part.

    Attributes:
        part: The part.
        place: Where its world lies.
        episodes: Its episodes.
        data_sha256: Digest of its data.
    """

    part: SuitePart
    place: Place
    episodes: list[Episode]
    data_sha256: str

    @property
    def ids(self) -> list[str]:
        """Ids of the episodes, in the order of results."""
        return [episode.instr_id for episode in self.episodes]

    @property
    def moves(self) -> dict[str, int]:
        """Number of moves of the reference path of each episode, by which curves are drawn."""
        return {episode.instr_id: len(episode.path) - 1 for episode in self.episodes}

    def clusters(self, kind: str) -> list[str]:
        """Return the building or the path of each episode."""
        return episode_clusters(self.episodes, kind)

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """Metrics of the part by short name."""
        own = dataset_scores(self.part.dataset)
        known = {**metrics(), **(own.metrics if own else {})}
        return {name: known[name] for name in self.part.metrics}

    @cached_property
    def _visible(self) -> tuple[NavWorld, WorldObjects] | None:
        """Viewpoints and their objects; None if the dataset asks for no objects."""
        place = self.place
        split = load_split(
            self.part.dataset, self.part.split, place.world, place.data_dir, place.features
        )
        objects = split_objects(split)
        return None if objects is None else (split.nav_world, objects)

    def problems(self, answers: Sequence[Any]) -> dict[int, str]:
        """Return the first problem of each walk that no agent can have walked."""
        scans = [episode.scan for episode in self.episodes]
        unreadable = {}
        for number, answer in enumerate(answers):
            try:
                msgspec.convert(answer, list[str] | _Pointed)
            except msgspec.ValidationError as error:
                unreadable[number] = f"cannot be read ({error})"
        if unreadable:
            return unreadable
        walks = [viewpoints(answer) for answer in answers]
        folder = self.place.files.connectivity_dir
        found = path_problems(scans, walks, folder, adjacent=True, field="")
        problems = {
            number: text.replace("field ''", "is not possible") for number, text in found.items()
        }
        for number, (episode, walk) in enumerate(zip(self.episodes, walks, strict=True)):
            if not walk or walk[0] != episode.path[0]:
                problems[number] = f"does not begin at {episode.path[0]}"
            elif len(walk) > self.part.max_steps + 1:
                steps = len(walk) - 1
                problems[number] = f"has {steps} steps, more than {self.part.max_steps}"
        for number, (episode, answer) in enumerate(zip(self.episodes, answers, strict=True)):
            pointed = isinstance(answer, dict) and number not in problems
            if pointed and self._pointed(episode, answer) is None:
                problems[number] = f"ends where object {answer['object']!r} is not visible"
        return problems

    def _pointed(self, episode: Episode, answer: Any) -> ObjectAnswer | None:
        """Return the object that an answer points out; None if it is not visible from the end."""
        if not isinstance(answer, dict) or self._visible is None:
            return None
        world, objects = self._visible
        node = world.node(episode.scan, answer["viewpoints"][-1])
        return objects.answer(node, objects.index(node, answer["object"]))

    def scores(self, walks: Sequence[Any]) -> dict[str, np.ndarray]:
        """Return the scores (B,) of walks by the short name of the metric."""
        folder = self.place.files.connectivity_dir
        graphs = {e.scan: NavGraph.load(e.scan, folder) for e in self.episodes}
        own, answers = dataset_scores(self.part.dataset), {}
        for episode, walk in zip(self.episodes, walks, strict=True):
            if own is not None and (pointed := self._pointed(episode, walk)) is not None:
                answers[episode.instr_id] = own.pointed(pointed)
        columns = score_episodes(
            self.part.dataset,
            [graphs[episode.scan] for episode in self.episodes],
            self.episodes,
            [viewpoints(walk) for walk in walks],
            answers=answers,
        )
        return {name: columns[metric.column] for name, metric in self.metrics.items()}


def load(part: SuitePart, place: Place) -> GraphTask:
    """Load the episodes of a part, whose data must be that of the suite."""
    episodes = load_episodes(part.dataset, part.split, place.files)
    check_goals(episodes, part.name)
    scans = sorted({episode.scan for episode in episodes})
    digest = data_digest(place.files, part.dataset, part.split, scans)
    check_data(part, digest)
    return GraphTask(part, place, episodes, digest)


def walk(suite: Suite, task: GraphTask, entrant: Entrant, seed: int, options: RunOptions) -> Walked:
    """Let an agent walk the episodes of a part, with nothing to read but what the suite allows."""
    env, agent = _load(suite, task, entrant, seed, options)
    rules = suite.rules
    readable = (
        Readable(rules.indices, rules.run_info)
        if entrant.kind == "run"
        else Readable(rules.observation, rules.info)
    )
    started = time.perf_counter()
    evaluation = evaluate(env, GuardedAgent(agent, readable), task.part.name)
    seconds = time.perf_counter() - started
    walks: list[Any] = []
    for name in task.ids:
        places = [pose[0] for pose in evaluation.trajectories[name]]
        pointed = evaluation.answers.get(name)
        if pointed is None:
            walks.append(places)
        else:
            walks.append({"viewpoints": places, "object": pointed.object_id})
    scores = {
        name: np.array([evaluation.scores[one][metric.column] for one in task.ids])
        for name, metric in task.metrics.items()
    }
    return Walked(walks, scores, seconds)


def viewpoints(answer: Any) -> list[str]:
    """Return the walk of an answer: a list of viewpoints, or an object that also points one out."""
    return answer["viewpoints"] if isinstance(answer, dict) else answer


def _load(
    suite: Suite, task: GraphTask, entrant: Entrant, seed: int, options: RunOptions
) -> tuple[VlnVectorEnv, Agent]:
    part, place = task.part, task.place
    if entrant.run is not None:
        env, agent = load_run(entrant.run, part.split, run_settings(task, entrant, options))
        if getattr(env, "max_episode_steps", None) == part.max_steps:
            return env, agent
        settings = replace(run_settings(task, entrant, options), max_episode_steps=part.max_steps)
        return make_env(settings, part.split, env.tokenizer, options.batch_size), agent
    assert entrant.make is not None
    words = load_split("r2r", "train", "houses", features="none").tokenizer
    env = make_vln_vector_env(
        options.batch_size,
        dataset=part.dataset,
        split=part.split,
        world=place.world,
        data_dir=place.data_dir,
        features=place.features,
        tokenizer=words,
        max_episode_steps=part.max_steps,
        observe=suite.rules.observe,
        shuffle=False,
        autoreset_mode=AutoresetMode.DISABLED,
        copy=False,
    )
    about = BenchTask(
        part.name,
        env.num_actions,
        env.num_envs,
        part.max_steps,
        words.words,
        env.observation_space,
        env.angle_feature_size,
    )
    return env, entrant.make(about, seed)


def run_settings(task: GraphTask, entrant: Entrant, options: RunOptions) -> AgentConfig:
    """Return the settings of a run in the world, and with the limits, of a part."""
    assert entrant.run is not None
    if entrant.row is None:
        settings = read_agent_config(entrant.run)
    else:
        settings = read_config(entrant.run, entrant.row.subclass("settings", AgentConfig))
    return replace(
        settings,
        dataset=task.part.dataset,
        world=task.place.world,
        data_dir=task.place.data_dir,
        features=task.place.features or settings.features,
        instruction_language=None,
        max_episode_steps=task.part.max_steps,
        evaluation_batch_size=options.batch_size,
        device=options.device,
    )

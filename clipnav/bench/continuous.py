"""Parts of suites in continuous space: an agent walks, and the positions are scored again."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from clipnav.agents.continuous.tasks import load_continuous_run
from clipnav.agents.continuous.walking import spread, walk_all
from clipnav.bench.entrants import BenchTask, Entrant, Readable
from clipnav.bench.kinds import RunOptions, Walked, episode_clusters
from clipnav.bench.suites import Place, Suite, SuitePart, check_data, data_digest
from clipnav.envs.continuous.coordinates import PoseTrace
from clipnav.envs.continuous.environments.replay import impossible_steps
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.episodes import (
    ContinuousEpisode,
    continuous_episodes,
    load_continuous_split,
)
from clipnav.envs.continuous.experts import PathKey, ReferenceWalk, expert_walks, path_key
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.measures import Walk, continuous_metrics, measure_walk
from clipnav.envs.continuous.settings import ContinuousSettings, task_settings
from clipnav.envs.continuous.walkers import Walker
from clipnav.envs.episodes import load_episodes
from clipnav.envs.metrics import Metric
from clipnav.storage.errors import UserError

_DECIMALS = 4  # of positions in metres
# Settings by which agents move, and by which walks are replayed.
_MOVES = (
    *("turn_angle", "step_size", "sliding", "agent_radius", "agent_height", "actuation_noise"),
)
_START_TOLERANCE = 1e-3  # metres


class _Positions(msgspec.Struct, forbid_unknown_fields=True):
    positions: list[tuple[float, float, float]]
    stopped: bool


@dataclass(frozen=True, eq=False)
class ContinuousPart:
    """Episodes of a part with the walks of the expert, the references of nDTW."""

    part: SuitePart
    place: Place
    episodes: list[ContinuousEpisode]
    references: dict[PathKey, ReferenceWalk]
    settings: ContinuousSettings
    data_sha256: str

    @property
    def ids(self) -> list[str]:
        """Ids of the episodes, in the order of results."""
        return [episode.instr_id for episode in self.episodes]

    @property
    def metrics(self) -> dict[str, Metric]:
        """Metrics of the part by short name."""
        return {name: continuous_metrics()[name] for name in self.part.metrics}

    def clusters(self, kind: str) -> list[str]:
        """Return the building or the path of each episode."""
        return episode_clusters(self.episodes, kind)

    def problems(self, answers: Sequence[Any]) -> dict[int, str]:
        """Return the first problem of each walk that no agent can have walked."""
        problems, walks = {}, {}
        for number, (episode, answer) in enumerate(zip(self.episodes, answers, strict=True)):
            try:
                walk = msgspec.convert(answer, _Positions)
            except msgspec.ValidationError as error:
                problems[number] = f"cannot be read ({error})"
                continue
            steps = len(walk.positions) - 1
            if steps < 0 or not np.allclose(walk.positions[0], episode.start, 0, _START_TOLERANCE):
                problems[number] = "does not begin at the start of the episode"
            elif steps > self.part.max_steps:
                problems[number] = f"has {steps} steps, more than {self.part.max_steps}"
            else:
                walks[number] = walk
        if not problems:
            for number, step in self._impossible_steps(list(walks.values())).items():
                problems[number] = f"has a step {step} that no action leads to"
        return problems

    def _impossible_steps(self, walks: Sequence[_Positions]) -> dict[int, int]:
        """Return the number of the first step of each walk that no action leads to."""
        positions = [np.array(walk.positions) for walk in walks]
        stopped = [walk.stopped for walk in walks]
        simulator = HouseSimulator(self.settings)
        return impossible_steps(self.episodes, positions, stopped, simulator, self.settings)

    def scores(self, answers: Sequence[Any]) -> dict[str, np.ndarray]:
        """Return the scores (B,) of walks by the short name of the metric."""
        simulator = HouseSimulator(self.settings)
        rows = []
        for episode, answer in zip(self.episodes, answers, strict=True):
            walk = msgspec.convert(answer, _Positions)
            positions, floor = np.array(walk.positions), simulator.floor(episode.scan)
            distances = floor.distances(floor.project(positions), np.array(episode.goal))
            reference = self.references[path_key(episode)].positions
            rows.append(measure_walk(Walk(positions, distances, walk.stopped), reference))
        return {
            name: np.array([row[metric.column] for row in rows])
            for name, metric in self.metrics.items()
        }


def load(part: SuitePart, place: Place) -> ContinuousPart:
    """Load the episodes of a part; houses that the cache lacks are built."""
    files = place.files
    graph_episodes = load_episodes(part.dataset, part.split, files)
    scans = sorted({episode.scan for episode in graph_episodes})
    digest = data_digest(files, part.dataset, part.split, scans)
    check_data(part, digest)
    episodes = continuous_episodes(part.dataset, graph_episodes, files.connectivity_dir)
    chosen = [episodes[row] for row in spread(len(episodes), part.episodes)]
    settings = task_settings(part.dataset, max_episode_steps=part.max_steps)
    references = expert_walks(chosen, settings)
    kept = [e for e in chosen if references[path_key(e)].is_complete]
    return ContinuousPart(part, place, kept, references, settings, digest)


def walk(
    suite: Suite, part: ContinuousPart, entrant: Entrant, seed: int, options: RunOptions
) -> Walked:
    """Let an agent walk the episodes of a part, with nothing to read but what the suite allows."""
    env, walker = _load(suite, part, entrant, seed, options)
    info = () if entrant.kind == "run" else ("instruction",)
    assert isinstance(env.single_observation_space, spaces.Dict)
    readable = Readable(tuple(env.single_observation_space.spaces), info)
    guarded = _GuardedWalker(walker, readable)
    rows = {episode.instr_id: row for row, episode in enumerate(env.episodes)}
    traces: dict[str, PoseTrace] = {}

    def finished(numbers: list[int]) -> None:
        for number, trace in zip(numbers, env.traces(), strict=False):
            traces[env.episodes[number].instr_id] = trace

    started = time.perf_counter()
    walk_all(env, guarded, [rows[name] for name in part.ids], finished)
    seconds = time.perf_counter() - started
    answers = [
        {
            "positions": (traces[name].positions.round(_DECIMALS) + 0.0).tolist(),
            "stopped": bool(traces[name].stopped),
        }
        for name in part.ids
    ]
    return Walked(answers, part.scores(answers), seconds)


class _GuardedWalker:
    """Agent that gets nothing but observations, and the entries of the info that are allowed."""

    def __init__(self, walker: Walker, readable: Readable) -> None:
        self._walker, self._readable = walker, readable

    def start(self, observation: dict[str, np.ndarray], info: Any) -> None:
        """Begin new episodes."""
        self._walker.start(*self._readable.of(observation, info))

    def act(self, observation: dict[str, np.ndarray], info: Any, active: np.ndarray) -> np.ndarray:
        """Return the actions of the agent."""
        return self._walker.act(*self._readable.of(observation, info), active)


def _load(
    suite: Suite, part: ContinuousPart, entrant: Entrant, seed: int, options: RunOptions
) -> tuple[ContinuousVectorEnv, Walker]:
    dataset, split = part.part.dataset, part.part.split
    if entrant.run is not None:
        task, agent = load_continuous_run(entrant.run, options.device)
        own = task.config.dataset, task.config.world, task.settings.max_episode_steps
        if own != (dataset, suite.world, part.part.max_steps):
            raise UserError(
                f"{entrant.run}: is a run on {own[0]} of {own[1]} with at most {own[2]} steps, but "
                f"{part.part.name} is {dataset} of {suite.world} with {part.part.max_steps}"
            )
        for name in _MOVES:
            own, given = getattr(part.settings, name), getattr(task.settings, name)
            if own != given:
                raise UserError(f"{entrant.run}: {name} is {given}, but {own} in {part.part.name}")
        return task.env(split, options.batch_size), agent
    assert entrant.make is not None
    size = int(part.part.options.get("picture_size", 224))
    settings = task_settings(
        dataset,
        observe=("rgb", "depth"),
        rgb_size=(size, size),
        depth_size=(size, size),
        max_episode_steps=part.part.max_steps,
    )
    loaded = load_continuous_split(dataset, split, suite.world)
    env = ContinuousVectorEnv(
        loaded, HouseSimulator(settings), options.batch_size, settings, AutoresetMode.DISABLED
    )
    about = BenchTask(
        part.part.name,
        env.num_actions,
        env.num_envs,
        part.part.max_steps,
        loaded.tokenizer.words,
        env.observation_space,
        0,
    )
    return env, entrant.make(about, seed)  # type: ignore[return-value]

"""Evaluation of searches, with and without the walk that a search requires."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import torch

from clipnav.agents.acting.evaluation import Evaluation, Pose, by_length, evaluate, score_walks
from clipnav.agents.envdrop.action_scores import ActionScorer
from clipnav.agents.envdrop.follower_agent import FollowerAgent
from clipnav.agents.envdrop.reranking import (
    RankedPath,
    Weighting,
    best_path,
    poses,
    rank_paths,
    search_walk,
    tune_weighting,
)
from clipnav.agents.envdrop.search import (
    Position,
    Searcher,
    SearchResult,
    beam_search,
    best_first_search,
    start_positions,
)
from clipnav.agents.envdrop.speaker_training import LoadedSpeaker
from clipnav.agents.frontier.agent import FrontierAgent, FrontierScoring
from clipnav.agents.layers.instructions import readable
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.settings import SearchConfig
from clipnav.envs.base.chosen_episodes import start_episodes
from clipnav.envs.episodes import Episode, base_language
from clipnav.envs.metrics import SUCCESS_THRESHOLD
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage.progress import progress_bar

_METRE_COSTS = 0.05, 0.1, 0.2, 0.3, 0.4  # that `best_frontier` tries
_SHARPNESS = 1.0, 1.5, 2.0, 3.0, 4.0


@dataclass(frozen=True, eq=False)
class SplitSearch:
    """Searches for all episodes of a split, by instr_id.

    Attributes:
        starts: Start positions.
        results: Results of the searches.
        ranked: Found paths with the scores of a speaker; empty without a speaker.
    """

    starts: dict[str, Position]
    results: dict[str, SearchResult]
    ranked: dict[str, list[RankedPath]]


def search_split(
    env: VlnVectorEnv,
    agent: FollowerAgent,
    config: SearchConfig,
    speaker: LoadedSpeaker | None = None,
    name: str = "",
) -> SplitSearch:
    """Run a search for each episode of an environment's split."""
    search = SplitSearch({}, {}, {})
    episodes = by_length(env.episodes)
    with (
        torch.inference_mode(),
        progress_bar(
            total=len(episodes), desc=name, unit="episodes", leave=False, disable=not name
        ) as bar,
    ):
        for start in range(0, len(episodes), env.num_envs):
            batch = episodes[start : start + env.num_envs]
            tokens = readable(_start_batch(env, batch, search), agent.reads_instructions)
            ids = [episode.instr_id for episode in batch]
            starts = [search.starts[instr_id] for instr_id in ids]
            searcher = Searcher(agent.follower, agent.features, env.nav_world, tokens, starts)
            if config.method == "beam":
                results = beam_search(searcher, config.paths, env.max_episode_steps)
            else:
                results = best_first_search(searcher, config.paths, config.expansions)
            search.results.update(zip(ids, results, strict=True))
            if speaker is not None:
                ranked = _rank(results, speaker, agent.features, batch)
                search.ranked.update(zip(ids, ranked, strict=True))
            bar.update(len(batch))
    return search


def evaluate_search(
    env: VlnVectorEnv, search: SplitSearch, weighting: Weighting
) -> tuple[Evaluation, Evaluation]:
    """Score the chosen paths: by themselves, and preceded by the walk of the search."""
    alone: dict[str, list[Pose]] = {}
    whole: dict[str, list[Pose]] = {}
    world = env.nav_world
    for instr_id, result in search.results.items():
        ranked = search.ranked.get(instr_id)
        chosen = best_path(ranked, weighting) if ranked else result.paths[0]
        start = search.starts[instr_id]
        alone[instr_id] = poses(world, start, [position.node for position in chosen.positions])
        whole[instr_id] = poses(world, start, search_walk(world, result, chosen))
    return score_walks(env, alone), score_walks(env, whole)


def best_weighting(env: VlnVectorEnv, search: SplitSearch) -> tuple[Weighting, float]:
    """Return the weighting with the highest success rate on a split with known goals."""
    world, ranked, values = env.nav_world, [], []
    for episode in env.episodes:
        paths = search.ranked[episode.instr_id]
        goal = world.node(episode.scan, episode.path[-1])
        ends = np.array([item.path.positions[-1].node for item in paths])
        success = world.distance(ends, np.array(goal)) < SUCCESS_THRESHOLD
        ranked.append(paths)
        values.append(dict(zip((item.path for item in paths), success.astype(float), strict=True)))
    return tune_weighting(ranked, values)


def frontier_agent(
    env: VlnVectorEnv,
    agent: FollowerAgent,
    config: SearchConfig,
    geometry: MapGeometry | None = None,
) -> FrontierAgent:
    """Return an agent that walks to the best node of its whole map, with a follower's weights.

    The tables of the environment's world, `geometry`, are computed if they are not given.
    """
    return FrontierAgent(
        ActionScorer(agent.follower, agent.features, env.nav_world),
        geometry or MapGeometry.of(env.nav_world),
        env.max_episode_steps,
        FrontierScoring(config.metre_cost, config.sharpness),
        reads_instructions=agent.reads_instructions,
    )


def best_frontier(
    env: VlnVectorEnv, agent: FollowerAgent, config: SearchConfig
) -> tuple[SearchConfig, float]:
    """Return the settings with the highest success rate on a split with known goals, and the rate.

    Of equally good ones the first: the lowest cost of a metre, then the lowest sharpness.
    """
    trials = [
        replace(config, tune=None, metre_cost=cost, sharpness=sharpness)
        for cost, sharpness in itertools.product(_METRE_COSTS, _SHARPNESS)
    ]
    geometry = MapGeometry.of(env.nav_world)
    agents = [frontier_agent(env, agent, trial, geometry) for trial in trials]
    rates = [evaluate(env, one).summary()["SR"] for one in agents]
    best = int(np.argmax(rates))
    return trials[best], rates[best]


def _start_batch(env: VlnVectorEnv, batch: list[Episode], search: SplitSearch) -> np.ndarray:
    """Reset the environment to a batch, record start positions and return the instructions."""
    ids = [episode.instr_id for episode in batch]
    observation, _, _ = start_episodes(env, ids)
    search.starts.update(zip(ids, start_positions(observation), strict=False))
    return observation["instruction"][: len(ids)]


def _rank(
    results: list[SearchResult],
    speaker: LoadedSpeaker,
    features: DeviceFeatures,
    batch: list[Episode],
) -> list[list[RankedPath]]:
    """Score the found paths of a batch with a speaker."""
    tokens = speaker.token_ids([episode.instruction for episode in batch])
    languages = speaker.language_ids([base_language(episode.language) for episode in batch])
    return rank_paths(results, speaker.network, features, tokens, languages)

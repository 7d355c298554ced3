"""Evaluating a follower that searches, beside the walk that the search costs."""

from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from agents.acting.evaluation import Evaluation, Pose, by_length, score_walks
from agents.acting.follower_agent import without_words
from agents.acting.reranking import RankedPath, Weighting, best, judge, poses, tune, whole_walk
from agents.acting.search import Place, Searcher, SearchResult, beam_search, best_first_search
from agents.envdrop.follower import Follower
from agents.learning.speaker_training import LoadedSpeaker
from agents.search_config import SearchConfig
from envs.episodes import Episode, base_language
from envs.metrics import SUCCESS_THRESHOLD
from envs.navigation.device_features import DeviceFeatures
from envs.navigation.vector_env import VlnVectorEnv


@dataclass(frozen=True, eq=False)
class Searched:
    """What searches found in a split, by instr_id; `judged` holds a speaker's opinion of it."""

    starts: dict[str, Place]
    findings: dict[str, SearchResult]
    judged: dict[str, list[RankedPath]]


def search_split(
    env: VlnVectorEnv,
    follower: Follower,
    features: DeviceFeatures,
    config: SearchConfig,
    speaker: LoadedSpeaker | None = None,
    reads: bool = True,
    name: str = "",
) -> Searched:
    """Search a path for each episode of an environment's split.

    Args:
        env: Environment without autoreset.
        follower: In evaluation mode.
        features: Of the environment.
        config: Kind and size of the search.
        speaker: Judges what is found.
        reads: Read the instructions.
        name: Label of the progress bar; no bar without it.
    """
    searched = Searched({}, {}, {})
    episodes = by_length(env.episodes)
    with (
        torch.inference_mode(),
        tqdm(total=len(episodes), desc=name, unit="episode", leave=False, disable=not name) as bar,
    ):
        for start in range(0, len(episodes), env.num_envs):
            batch = episodes[start : start + env.num_envs]
            _search_batch(env, follower, features, config, speaker, reads, batch, searched)
            bar.update(len(batch))
    return searched


def evaluate_search(
    env: VlnVectorEnv, searched: Searched, weighting: Weighting
) -> tuple[Evaluation, Evaluation]:
    """Score the chosen paths: by themselves, and with the walk of the search before them."""
    alone: dict[str, list[Pose]] = {}
    whole: dict[str, list[Pose]] = {}
    world = env.nav_world
    for instr_id, found in searched.findings.items():
        judged = searched.judged.get(instr_id)
        chosen = best(judged, weighting) if judged else found.paths[0]
        start = searched.starts[instr_id]
        alone[instr_id] = poses(world, start, [place.node for place in chosen.places])
        whole[instr_id] = poses(world, start, whole_walk(world, found, chosen))
    return score_walks(env, alone), score_walks(env, whole)


def tuned_weighting(env: VlnVectorEnv, searched: Searched) -> tuple[Weighting, float]:
    """The weighting with the highest success on a split whose goals are known."""
    world, judged, values = env.nav_world, [], []
    for episode in env.episodes:
        paths = searched.judged[episode.instr_id]
        goal = world.node(episode.scan, episode.path[-1])
        ends = np.array([item.path.places[-1].node for item in paths])
        won = world.distance(ends, np.array(goal)) < SUCCESS_THRESHOLD
        judged.append(paths)
        values.append(dict(zip((item.path for item in paths), won.astype(float), strict=True)))
    return tune(judged, values)


def _search_batch(
    env: VlnVectorEnv,
    follower: Follower,
    features: DeviceFeatures,
    config: SearchConfig,
    speaker: LoadedSpeaker | None,
    reads: bool,
    batch: list[Episode],
    searched: Searched,
) -> None:
    ids = [episode.instr_id for episode in batch]
    padded = [*ids, *[ids[0]] * (env.num_envs - len(ids))]
    observation, _ = env.reset(options={"episode_ids": padded})
    tokens = observation["instruction"][: len(ids)]
    starts = [
        Place(int(observation["viewpoint"][row]), int(observation["view"][row]))
        for row in range(len(ids))
    ]
    read = tokens if reads else without_words(tokens)
    searcher = Searcher(follower, features, env.nav_world, read, starts)
    if config.method == "beam":
        findings = beam_search(searcher, config.paths, env.max_episode_steps)
    else:
        findings = best_first_search(searcher, config.paths, config.expansions)
    searched.starts.update(zip(ids, starts, strict=True))
    searched.findings.update(zip(ids, findings, strict=True))
    if speaker is not None:
        told = speaker.tokens([episode.instruction for episode in batch])
        languages = speaker.numbers([base_language(episode.language) for episode in batch])
        judged = judge(findings, speaker.network, features, told, languages)
        searched.judged.update(zip(ids, judged, strict=True))

"""Walks of the greedy expert along the reference paths of a split, computed house by house."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from clipnav.envs.continuous.episodes import ContinuousEpisode, Point
from clipnav.envs.continuous.experts import ReferenceWalk, reference_walks
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.settings import ContinuousSettings
from clipnav.storage.processes import run_jobs
from clipnav.storage.progress import progress_bar

PathKey = tuple[str, float, tuple[Point, ...]]


def path_key(episode: ContinuousEpisode) -> PathKey:
    """Return scan, initial heading and reference path, which determine the expert's walk."""
    return episode.scan, episode.heading, episode.reference_path


def expert_walks(
    episodes: Sequence[ContinuousEpisode], settings: ContinuousSettings, workers: int = 1
) -> dict[PathKey, ReferenceWalk]:
    """Return the expert's walk along each distinct reference path; show a progress bar."""
    jobs: dict[str, list[PathKey]] = {}
    for key in dict.fromkeys(path_key(e) for e in episodes if e.has_goal):
        jobs.setdefault(key[0], []).append(key)
    walk = partial(_walk_house, settings=settings)
    if workers == 1:
        results = ((job, walk(job)) for job in jobs.values())
    else:
        results = run_jobs(walk, list(jobs.values()), workers, "computes expert walks")
    bar = progress_bar(results, total=len(jobs), desc="expert walks", unit="houses")
    return {key: walk for house, walks in bar for key, walk in zip(house, walks, strict=True)}


def _walk_house(keys: Sequence[PathKey], settings: ContinuousSettings) -> list[ReferenceWalk]:
    """Return the walks along reference paths of one house."""
    floor = HouseSimulator(settings).floor(keys[0][0])
    nodes = [np.array(path) for _, _, path in keys]
    headings = np.array([heading for _, heading, _ in keys])
    return reference_walks(floor, nodes, headings, settings)

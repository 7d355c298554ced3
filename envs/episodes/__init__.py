"""Episodes of R2R, RxR and R4R: one instruction and its reference path each."""

from clipnav.envs.episodes.episode import Episode, TimedWord, base_language
from clipnav.envs.episodes.loading import (
    Demonstration,
    DemonstrationMetrics,
    load_demonstrations,
    load_episodes,
    load_splits,
    vocabulary_dataset,
)

__all__ = [
    "Demonstration",
    "DemonstrationMetrics",
    "Episode",
    "TimedWord",
    "base_language",
    "load_demonstrations",
    "load_episodes",
    "load_splits",
    "vocabulary_dataset",
]

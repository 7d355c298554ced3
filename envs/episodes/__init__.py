"""Episodes: one instruction to follow each, read from R2R, RxR and R4R annotations."""

from envs.episodes.demonstrations import (
    Demonstration,
    DemonstrationMetrics,
    load_demonstrations,
)
from envs.episodes.episode import Episode, TimedWord, base_language
from envs.episodes.loading import load_episodes

__all__ = [
    "Demonstration",
    "DemonstrationMetrics",
    "Episode",
    "TimedWord",
    "base_language",
    "load_demonstrations",
    "load_episodes",
]

"""Episodes: one instruction to follow each, read from R2R, RxR and R4R annotations."""

from envs.episodes.demonstrations import (
    Demonstration,
    DemonstrationMetrics,
    load_demonstrations,
)
from envs.episodes.episode import Episode, TimedWord, base_language
from envs.episodes.loading import load_episodes
from envs.episodes.submission_files import (
    Trajectory,
    write_r2r_submission,
    write_rxr_submission,
)

__all__ = [
    "Demonstration",
    "DemonstrationMetrics",
    "Episode",
    "TimedWord",
    "Trajectory",
    "base_language",
    "load_demonstrations",
    "load_episodes",
    "write_r2r_submission",
    "write_rxr_submission",
]

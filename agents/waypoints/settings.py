"""Settings of the evaluation of agents of the graphs in continuous episodes."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from clipnav.storage.outputs import check_outputs
from clipnav.training.settings import check_counts, check_splits


@dataclass(frozen=True)
class WaypointConfig:
    """Run, task and number of episodes."""

    run: tyro.conf.Positional[Path]
    """Folder of a run of clipnav train-agent, a follower or a map agent, trained in built-in
    houses."""
    splits: tuple[str, ...] = ("val_unseen",)
    """Splits to evaluate: val_seen, val_unseen, ..."""
    episodes: int | None = None
    """Number of episodes of a split, spread over it; all if not given."""
    encoder: str = "house_clip"
    """Encoder of the run's features, which encodes the views of the continuous walks: house_clip, a
    folder in open_clip's local-dir format, or an open_clip name with its weights (RN50:openai)."""
    sliding: bool | None = None
    """Whether the agent slides along obstacles; that of the task by default."""
    batch_size: int = 16
    """Number of episodes in a batch."""
    json: Path | None = None
    """File for the scores of the table."""
    threads: int | None = None
    """Number of CPU threads of torch; torch's default if not given."""

    def __post_init__(self) -> None:
        check_counts(self, ("episodes", "batch_size", "threads"))
        check_splits(self, ("splits",))
        check_outputs(self, {"json": (".json",)})

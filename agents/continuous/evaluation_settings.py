"""Settings of the evaluation of continuous agents."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from clipnav.agents.settings.evaluation import SUBMISSIONS, check_submitted_splits
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_outputs
from clipnav.training.settings import check_counts


@dataclass(frozen=True)
class EvaluateContinuousConfig:
    """Run, splits and outputs."""

    run: tyro.conf.Positional[Path]
    """Folder of a run of clipnav train-continuous-agent."""
    splits: tuple[str, ...] = ("val_unseen",)
    """Splits to evaluate: val_seen, val_unseen, ..."""
    episodes: int | None = None
    """Number of episodes of a split, spread over it; all if not given."""
    baselines: bool = True
    """Evaluate the expert and the non-learning agents, too."""
    submission: Path | None = None
    """File to write the walks to, in the format of the test server of R2R-CE or RxR-CE."""
    json: Path | None = None
    """File for the scores of the table: {"results": {SPLIT: {AGENT: {MEASURE: MEAN}}}}."""
    batch_size: int = 32
    """Number of episodes in a batch."""
    threads: int | None = None
    """Number of CPU threads of torch; torch's default if not given."""
    device: str = "cpu"
    """Device of the agent: cpu, cuda, cuda:1, ..."""

    def __post_init__(self) -> None:
        check_counts(self, ("episodes", "batch_size", "threads"))
        check_submitted_splits(self)
        if self.submission is not None and self.episodes is not None:
            raise UserError(
                f"--episodes {self.episodes}: a submission contains all episodes of a split; "
                "remove it, or --submission"
            )
        check_outputs(self, {"submission": SUBMISSIONS, "json": (".json",)})

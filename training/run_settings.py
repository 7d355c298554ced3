"""Settings of every training run, and presets; without torch, so that --help is fast."""

import dataclasses
import functools
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from clipnav.training.log import TrackerName
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.settings import (
    Config,
    build_settings,
    check_counts,
    check_positive,
    check_selection,
    idle_training_settings,
)


def read_presets(start: Config, file: Path, section: str, **facts: Any) -> Config:
    """Return settings with the values that a file has for them.

    The tables of a section are applied in order, so that later ones override earlier ones. A table
    with `when` applies only if each of its names has the given value, or one of the given list;
    the names are those of settings, with their values in `start`, and those of `facts`. Keys are
    the names of settings as in config.json; "None" stands for no value, as on a command line.
    """
    values = dataclasses.asdict(start)  # pyright: ignore[reportArgumentType]
    known = values | facts
    for table in _sections(file)[section]:
        when = table.get("when", {})
        if all(
            known[name] in (one if isinstance(one, list) else [one]) for name, one in when.items()
        ):
            values = _merged(values, {name: table[name] for name in table if name != "when"})
    return build_settings(type(start), values, str(file))


@functools.cache
def _sections(file: Path) -> dict[str, Any]:
    """Read a file, which takes 8 ms."""
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for name, value in changes.items():
        if isinstance(value, dict):
            merged[name] = _merged(values.get(name, {}), value)
        else:
            merged[name] = None if value == "None" else value
    return merged


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of every training run."""

    COMMAND: ClassVar[str]
    """Command that makes such runs."""
    MAY_CHANGE: ClassVar[frozenset[str]]
    """Settings that may change when a run is resumed; any other change makes it another run."""
    COMMON: ClassVar[tuple[str, ...]] = ()
    """Settings that --help shows, in this order; all if there are none."""

    iterations: int = 80_000
    """Number of weight updates."""
    minutes: float | None = None
    """Training time in minutes, without that of evaluations; replaces --iterations."""
    batch_size: int = 64
    """Number of episodes in a minibatch. Each process of torchrun has its own minibatches."""
    evaluate_every: int = 500
    """Number of iterations between two evaluations, each followed by a checkpoint."""
    seed: int = 0
    """Random seed for weights, data order, dropout and sampled actions."""
    output: Path | None = None
    """Folder of the run; by default a folder in runs/ named after the main settings."""
    track: tuple[TrackerName, ...] = ()
    """Trackers that receive the figures of the log: tensorboard (into the run's folder), wandb or
    trackio; each requires the extra of its name."""
    config: Path | None = None
    """Settings file: the config.json of a run, whose values are the defaults of all other flags, or
    a .toml file with some flags."""
    resume: Path | None = None
    """Folder of a run to resume, with its settings."""
    threads: int | None = None
    """Number of CPU threads of torch; torch's default if not given."""
    device: str = "cpu"
    """Device of the networks: cpu, cuda, cuda:1, ..."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)

    def __post_init__(self) -> None:
        check_counts(self, ("iterations", "batch_size", "evaluate_every", "threads"))
        check_counts(self, ("seed",), least=0)
        check_positive(self, ("minutes",))

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        raise NotImplementedError

    def shown(self) -> Self:
        """Return the settings with the values that None stands for, as --help shows them."""
        return replace(self, output=self.output or Path("runs", self.run_name))

    def unused_options(self) -> dict[str, str]:
        """Return the dotted names of settings that others make ineffective, with the reasons.

        A preset may contain such settings; a command line may not add them. Settings whose defaults
        no preset changes are checked in `__post_init__` instead.
        """
        return idle_training_settings(self)


@dataclass(frozen=True)
class EvaluatedTrainingConfig(TrainingConfig):
    """Settings of every training run with presets that is evaluated on splits."""

    preset: str | None = None
    """Published hyper-parameters as defaults of the other flags."""
    evaluation_splits: tuple[str, ...] = ("val_seen", "val_unseen")
    """Evaluation splits."""
    select_by: str = "val_seen"
    """Evaluation split that selects the best weights; the scores of other splits stay unbiased."""
    select_metric: str = "SPL"
    """Metric on the split --select-by that selects the best weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_selection(self)

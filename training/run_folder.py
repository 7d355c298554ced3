"""Protocols of a run's settings and processes, and the choice and lock of its folder."""

from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from storage.locks import OutputInUseError, OutputLock
from training.optimiser_settings import OptimiserConfig
from training.settings import CONFIG
from training.tracking import TrackerName, check_trackers

# Files of a run that exist only after it has saved weights.
_SAVED = ("model.safetensors", "trainer.pt", "results.json")

Value = TypeVar("Value")


class RunLocation(Protocol):
    """Settings that determine the folder of a run."""

    @property
    def resume(self) -> Path | None:
        """Folder of a run to resume."""
        ...

    @property
    def output(self) -> Path | None:
        """Folder of a new run."""
        ...

    @property
    def run_name(self) -> str:
        """Default name of the folder below runs/."""
        ...


class Settings(RunLocation, Protocol):
    """Settings of a training run, as a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def optimiser(self) -> OptimiserConfig:
        """Settings of the optimiser."""
        ...

    @property
    def iterations(self) -> int:
        """Weight updates of the run."""
        ...

    @property
    def minutes(self) -> float | None:
        """Training time that ends the run instead of the iterations."""
        ...

    @property
    def track(self) -> tuple[TrackerName, ...]:
        """Trackers of the figures."""
        ...

    @property
    def evaluate_every(self) -> int:
        """Iterations between two evaluations; the training state is saved after each."""
        ...


class Group(Protocol):
    """Processes of a run; `training.distributed` implements it."""

    def rank(self) -> int:
        """Return the rank of this process; rank 0 writes the run's folder."""
        ...

    def all_gather(self, value: Value) -> list[Value]:
        """Gather one value per rank, in rank order."""
        ...


def run_folder(config: RunLocation) -> Path:
    """Return the folder of a run: the run to resume, the given output, or an unused default.

    The folder of a run that was killed before it saved anything can be used again.

    Raises:
        FileExistsError: The output already contains a run.
    """
    if config.resume is not None:
        return config.resume
    if config.output is not None:
        if (config.output / CONFIG).exists() and has_saved(config.output):
            raise FileExistsError(
                f"{config.output}: already contains a run; resume it with --resume "
                f"{config.output}, or choose another --output"
            )
        return config.output
    return free_folder(Path("runs") / config.run_name)


def check_run(config: Settings) -> None:
    """Check the output and the trackers of a run, before its data is read.

    Raises:
        FileExistsError: The output already contains a run.
        ModuleNotFoundError: The package of a tracker is missing.
    """
    run_folder(config)
    check_trackers(config.track)


def lock_run(run: Path, group: Group, create: bool) -> OutputLock | None:
    """Acquire the lock of a run's folder on rank 0.

    Args:
        run: Folder of the run.
        group: Processes of the run.
        create: Whether the folder is created if it is missing.

    Returns:
        The lock on rank 0, None on other ranks.

    Raises:
        OutputInUseError: Another process trains in the folder; every rank raises.
    """
    lock = refusal = None
    if group.rank() == 0:
        if create:
            run.mkdir(parents=True, exist_ok=True)
        lock = OutputLock(run)
        try:
            lock.acquire()
        except OutputInUseError as error:
            refusal = str(error)
    refusal = group.all_gather(refusal)[0]
    if refusal is not None:
        raise OutputInUseError(refusal)
    return lock


def free_folder(folder: Path) -> Path:
    """Return the folder if it does not exist, otherwise append the next unused number."""
    free, number = folder, 2
    while free.exists():
        free, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return free


def has_saved(run: Path) -> bool:
    """Return whether a run has saved weights or results."""
    return any((run / name).exists() for name in _SAVED)

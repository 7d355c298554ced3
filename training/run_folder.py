"""Protocols of a run's settings and processes, and the choice and lock of its folder."""

from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from clipnav.storage import is_temporary, remove_abandoned
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json_object
from clipnav.storage.locks import OutputInUseError, OutputLock
from clipnav.training.log import TrackerName, check_trackers
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.settings import CONFIG

# Files of a run that exist only after it has saved weights.
_SAVED = ("model.safetensors", "trainer.pt", "results.json")
# Files that may be in the folder of a new run: a shell or a comparison writes the output there.
_LOGS = (".log", ".txt")

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
    """Processes of a run; `clipnav.training.distributed` implements it."""

    def rank(self) -> int:
        """Return the rank of this process; rank 0 writes the run's folder."""
        ...

    def all_gather(self, value: Value) -> list[Value]:
        """Gather one value per rank, in rank order."""
        ...


def run_folder(config: RunLocation) -> Path:
    """Return the folder of a run: the run to resume, the given output, or an unused default.

    The folder of a run that was killed before it saved anything can be used again.
    """
    if config.resume is not None:
        return config.resume
    if config.output is not None:
        _check_unused(config.output)
        return config.output
    return _free_folder(Path("runs") / config.run_name)


def check_run(config: Settings) -> None:
    """Check the output and the trackers of a run, before its data is read."""
    run_folder(config)
    check_trackers(config.track)


def check_length(config: Settings, run: Path, iteration: int) -> None:
    """Check that a resumed run is not to end before the iteration that it has reached."""
    if config.minutes is None and config.iterations < iteration:
        raise UserError(
            f"--iterations {config.iterations}: {run} already has {iteration} iterations; give at "
            "least this number"
        )


def lock_run(run: Path, group: Group, create: bool) -> OutputLock | None:
    """Acquire the lock of a run's folder on rank 0."""
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


def _free_folder(folder: Path) -> Path:
    """Return the folder if it does not exist, otherwise append the next unused number."""
    free, number = folder, 2
    while free.exists():
        free, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return free


def has_saved(run: Path) -> bool:
    """Return whether a run has saved weights or results."""
    return any((run / name).exists() for name in _SAVED)


def _check_unused(folder: Path) -> None:
    """Refuse a folder that contains a run, or files that a run would replace or mix with."""
    if (folder / CONFIG).exists() and has_saved(folder):
        raise FileExistsError(
            f"{folder}: already contains a run; resume it with --resume {folder}, or choose "
            "another --output"
        )
    if not folder.is_dir() or _has_settings(folder):
        return
    remove_abandoned(folder.resolve())  # of a run that was killed while it wrote its settings
    files = sorted(path.name for path in folder.iterdir() if path.is_file())
    # Not folders, because the folder of a run can contain that of the run it continues.
    # The lock of a process that has just started here refuses this one, whether that process is
    # writing its settings or has written them by now.
    foreign = [
        name
        for name in files
        if not name.startswith(".") and not name.endswith(_LOGS) and not is_temporary(name)
    ]
    if foreign and not _has_settings(folder):
        raise FileExistsError(
            f"{folder}: contains no run but other files, such as {foreign[0]}; choose a new or "
            "empty folder as --output"
        )


def _has_settings(folder: Path) -> bool:
    """Return whether a folder has the settings of a run, not a foreign file of their name."""
    try:
        settings = read_json_object(folder / CONFIG, "train the run again")
    except (OSError, UserError):
        return False
    return {"output", "resume"} <= settings.keys()

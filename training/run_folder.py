"""Folders of training runs, whatever is trained: settings, weights, log, and going on."""

from pathlib import Path
from typing import Any, ClassVar, Protocol

from training.optimiser_settings import OptimiserConfig
from training.settings import CONFIG

# Of a run's files, those that hold something of what it has learnt.
_LEARNT = ("model.safetensors", "trainer.pt", "results.json")


class RunLocation(Protocol):
    """Settings of a run that say where its folder is."""

    @property
    def resume(self) -> Path | None:
        """Folder of a run to go on with."""
        ...

    @property
    def output(self) -> Path | None:
        """Folder asked for."""
        ...

    @property
    def run_name(self) -> str:
        """Name of the folder below runs/ where none is asked for."""
        ...


class Settings(RunLocation, Protocol):
    """A frozen dataclass that says how long a run is, and how it goes on."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def optimiser(self) -> OptimiserConfig:
        """How weights follow gradients."""
        ...

    @property
    def iterations(self) -> int:
        """Weight updates of the run."""
        ...

    @property
    def minutes(self) -> float | None:
        """Training time that ends the run in place of the iterations."""
        ...

    @property
    def evaluate_every(self) -> int:
        """Iterations between two evaluations."""
        ...

    @property
    def select_by(self) -> str:
        """Split that says which weights are the best."""
        ...


def run_folder(config: RunLocation) -> Path:
    """Folder of a run: the one to resume, the one asked for, or a free default one.

    A run that was killed before it saved anything is no run: another one may take its folder.

    Raises:
        FileExistsError: The folder asked for holds a run already.
    """
    if config.resume is not None:
        return config.resume
    if config.output is not None:
        if (config.output / CONFIG).exists() and has_learnt(config.output):
            raise FileExistsError(
                f"{config.output} holds a run already; go on with it by --resume "
                f"{config.output}, or choose another --output"
            )
        return config.output
    return free_folder(Path("runs") / config.run_name)


def free_folder(folder: Path) -> Path:
    """The folder itself if there is none of that name, else with the next free number."""
    free, number = folder, 2
    while free.exists():
        free, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return free


def has_learnt(run: Path) -> bool:
    """Whether a run has saved anything of what it has learnt."""
    return any((run / name).exists() for name in _LEARNT)

"""Settings that functions for several trainings read."""

from pathlib import Path
from typing import Protocol


class DataLocation(Protocol):
    """Location of a data set."""

    @property
    def data(self) -> str:
        """The name "house" or "easy-vqa", or a folder."""
        ...

    @property
    def images(self) -> Path | None:
        """Folder of the images; None for the data folder or its images/."""
        ...


class TorchSettings(Protocol):
    """Device, threads and seed of torch."""

    @property
    def device(self) -> str:
        """Device of the networks."""
        ...

    @property
    def threads(self) -> int | None:
        """Number of CPU threads; None for torch's own."""
        ...

    @property
    def seed(self) -> int:
        """Random seed."""
        ...

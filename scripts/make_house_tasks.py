"""Make questions, hypotheses and captions about the built-in houses.

$ make_house_tasks.py
$ make_house_tasks.py --train 4000 --workers 2 --out data/house_tasks

Writes VQA v2, SNLI-VE and Karpathy files with JPEG pictures, and house_tasks.json, which says how
they were made and what somebody reaches who does not look at the pictures. docs/vl_tasks.md says
what is asked.
"""

from complaints import friendly_errors

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from training.settings import check_counts
from vl_tasks.house_tasks import HouseTasksConfig, make_house_tasks


@dataclass(frozen=True)
class MakeHouseTasksConfig:
    """Make questions, hypotheses and captions about the built-in houses."""

    tasks: tyro.conf.OmitArgPrefixes[HouseTasksConfig] = field(default_factory=HouseTasksConfig)
    out: Path = Path("data/house_tasks")
    """Where to write."""
    workers: int = 2
    """Processes. The result does not depend on their number."""

    def __post_init__(self) -> None:
        check_counts(self, ("workers",))


def main() -> None:
    """Parse the command line, draw and write."""
    config = tyro.cli(MakeHouseTasksConfig, description=__doc__)
    files = make_house_tasks(config.out, config.tasks, config.workers)
    print(files.summary.read_text(encoding="utf-8"))
    print(f"questions, hypotheses, captions and pictures in {files.folder}")


if __name__ == "__main__":
    with friendly_errors():
        main()

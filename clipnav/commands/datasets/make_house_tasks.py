"""Generate questions, hypotheses and captions about the built-in houses.

$ clipnav make-house-tasks
$ clipnav make-house-tasks --train 4000 --workers 2 --output data/house_tasks

The command writes JPEG images and files in the formats of VQA v2, GQA, SNLI-VE, Karpathy and
LXMERT, and house_tasks.json, which contains the settings and the accuracy of a blind baseline that
sees only the wording.
docs/vl_tasks.md describes the questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from clipnav.parsing import parse
from clipnav.training.settings import check_counts
from clipnav.vl_tasks.house_tasks import HouseTasksConfig, make_house_tasks


@dataclass(frozen=True)
class MakeHouseTasksConfig:
    """Generate questions, hypotheses and captions about the built-in houses."""

    tasks: tyro.conf.OmitArgPrefixes[HouseTasksConfig] = field(default_factory=HouseTasksConfig)
    output: Path = Path("data/house_tasks")
    """Output folder."""
    workers: int = 2
    """Number of worker processes; the result does not depend on it."""

    def __post_init__(self) -> None:
        check_counts(self, ("workers",))


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and write the data."""
    config = parse(MakeHouseTasksConfig, __name__, __doc__, arguments)
    files = make_house_tasks(config.output, config.tasks, config.workers)
    print(files.summary.read_text(encoding="utf-8"))
    print(f"questions, hypotheses, captions and images are in {files.folder}")

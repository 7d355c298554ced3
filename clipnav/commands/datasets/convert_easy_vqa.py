"""Convert the images and questions of the pip package easy-vqa to VQA v2 files.

$ clipnav convert-easy-vqa --output data/easy_vqa
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clipnav.parsing import parse
from clipnav.storage.locks import exclusive_lock
from clipnav.vl_tasks.data.easy_vqa import SPLITS, convert_easy_vqa


@dataclass(frozen=True)
class ConvertEasyVqaConfig:
    """Convert the images and questions of the pip package easy-vqa to VQA v2 files."""

    output: Path = Path("data/easy_vqa")
    """Output folder."""


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and convert."""
    config = parse(ConvertEasyVqaConfig, __name__, __doc__, arguments)
    config.output.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(config.output):
        files = convert_easy_vqa(config.output)
    for split in SPLITS:
        print(f"{split}: {files.questions(split)}, {files.annotations(split)}")

"""Convert the images and questions of the pip package easy-vqa to VQA v2 files.

$ convert_easy_vqa.py --output data/easy_vqa
"""

from complaints import friendly_errors

from dataclasses import dataclass
from pathlib import Path

import tyro

from storage.locks import sole_writer
from vl_tasks.data.easy_vqa import SPLITS, convert_easy_vqa


@dataclass(frozen=True)
class ConvertEasyVqaConfig:
    """Convert the images and questions of the pip package easy-vqa to VQA v2 files."""

    output: Path = Path("data/easy_vqa")
    """Output folder."""


def main() -> None:
    """Parse the command line and convert."""
    config = tyro.cli(ConvertEasyVqaConfig, description=__doc__)
    config.output.mkdir(parents=True, exist_ok=True)
    with sole_writer(config.output):
        files = convert_easy_vqa(config.output)
    for split in SPLITS:
        print(f"{split}: {files.questions(split)}, {files.annotations(split)}")


if __name__ == "__main__":
    with friendly_errors():
        main()

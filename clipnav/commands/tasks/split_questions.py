"""Divide the images of a split of VQA questions into dev, val and test.

$ clipnav split-questions --split val_unseen --output parts.json
$ clipnav split-questions --data data/vqa --split val --output data/vqa/parts.json
$ clipnav split-questions --data data/vqa --split val --published data/vqa/annotations

clipnav train-selector trains on dev, chooses weights and thresholds on val, and reports test. The
file contains the image ids of each part: {"dev": [...], "val": [...], "test": [...]}.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clipnav.parsing import parse
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_outputs
from clipnav.training.settings import check_counts
from clipnav.vl_tasks.reliability.settings import PART_SEED

_OUTPUTS = {"output": (".json",)}


@dataclass(frozen=True)
class SplitQuestionsConfig:
    """Divide the images of a split of VQA questions into dev, val and test."""

    data: str = "house"
    """Dataset: "house", "easy-vqa", or a folder with question and annotation files of VQA v2."""
    split: str = "val_unseen"
    """Split with answers, such as val."""
    output: Path = Path("parts.json")
    """Output file."""
    shares: tuple[float, float, float] = (0.4, 0.1, 0.5)
    """Shares of the images of dev, val and test."""
    seed: int = PART_SEED
    """Random seed."""
    published: Path | None = None
    """Folder of the published files imdb_val2014-PART.npy, or another file of image ids, whose
    division is checked and copied instead of a random one."""

    def __post_init__(self) -> None:
        check_counts(self, ("seed",), least=0)
        check_outputs(self, _OUTPUTS)

    @property
    def images(self) -> None:
        """Folder of the images, which are not read."""


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, divide and write."""
    config = parse(SplitQuestionsConfig, __name__, __doc__, arguments)
    default = SplitQuestionsConfig()
    is_random = (config.shares, config.seed) != (default.shares, default.seed)
    if config.published is not None and is_random:
        raise UserError("--shares and --seed have no effect with --published; omit them")
    # Imported here so that --help answers without loading the readers.
    from clipnav.vl_tasks.data_folders import data_folder
    from clipnav.vl_tasks.reliability.parts import (
        divide_images,
        questions_of_parts,
        read_parts,
        read_split,
        write_parts,
    )

    split = read_split(data_folder(config), config.split)
    check_outputs(config, _OUTPUTS, (split.questions_file, split.annotations_file))
    questions = split.questions
    if config.published is not None:
        parts = read_parts(config.published)
    else:
        parts = divide_images(questions, config.shares, config.seed)
    divided = questions_of_parts(questions, parts, str(config.published or config.split))
    write_parts(config.output, parts)
    for name, rows in divided.items():
        print(f"{name}: {len(parts[name])} images, {len(rows)} questions")
    print(f"the division is in {config.output}")

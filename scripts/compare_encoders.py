"""What does an encoder buy? Train the same follower on the features of several.

$ compare_encoders.py --encoders house_clip taught=runs/house_supervised/house_supervised
$ compare_encoders.py --encoders house_clip ViT-B-32:openai --world houses-standard --seeds 5
$ compare_encoders.py --ablations empty-instructions shuffled-instructions no-vision
$ compare_encoders.py --encoders house_clip RN50:openai -- --dataset rxr --minutes 10

Each encoder's feature store is made if it is missing, a follower is trained on it once for each
seed, and all are scored on the evaluation splits: OUTPUT gets comparison.json, comparison.md and
comparison.png, with a mean and its interval over seeds for each metric. Behind -- stand arguments
of train_agent.py, which hold for all. What an interrupted comparison finished is kept, and what it
began goes on when the same command is given again.

The weights of a run are those that were best on the first of the splits, so that the second one
has had no say in anything.
"""

from complaints import friendly_errors

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro
from comparisons import ComparisonArguments, run_comparison, split_command_line

from envs.worlds import World

if TYPE_CHECKING:
    from agents.experiments.comparison import ComparisonRow

Ablation = Literal["empty-instructions", "shuffled-instructions", "no-vision"]
# Their names hold a colon that is no tag's.
_PREFIXES = ("local-dir:", "hf-hub:")


@dataclass(frozen=True)
class CompareArguments(ComparisonArguments):
    """Which encoders are compared, in which world."""

    encoders: tuple[str, ...] = ("house_clip",)
    """"house_clip", an open_clip name with or without its weights (ViT-B-32:openai), or a folder in
    open_clip's local-dir format; each may be given a name (NAME=FOLDER). The first is what others
    are held against."""
    ablations: tuple[Ablation, ...] = ()
    """More rows: the first encoder's follower without instructions, with those of other paths, or
    without pictures, in training and evaluation alike."""
    world: World = "houses"
    """Buildings to walk in."""
    data_dir: Path | None = None
    """Folder of the data of world matterport."""
    pictures: Path | None = None
    """Folder of the scans with skyboxes, by default DATA_DIR/matterport/v1/scans."""
    precision: Literal["auto", "fp32", "medium", "bf16", "fp16"] = "auto"
    """Of the encoders, see docs/encoders.md."""
    output: Path | None = None
    """Folder of stores, runs and results, by default runs/comparison-WORLD."""
    workers: int = 2
    """Processes that draw views, and then that train, each on one thread."""

    @property
    def folder(self) -> Path:
        """Folder of everything that is made."""
        return self.output or Path("runs") / f"comparison-{self.world}"


@dataclass(frozen=True)
class NamedEncoder:
    """An encoder as the command line names it: what to call it, and what to load."""

    name: str
    source: str
    pretrained: str | None

    @classmethod
    def parse(cls, text: str) -> "NamedEncoder":
        """Read "house_clip", "MODEL", "MODEL:TAG", "FOLDER", or any of them behind "NAME="."""
        name, equals, source = text.rpartition("=")
        if Path(source).is_dir() or source.startswith(_PREFIXES):
            return cls(name if equals else Path(source).name, source, None)
        model, _, tag = source.partition(":")
        return cls(name if equals else source, model, tag or None)

    @property
    def file(self) -> str:
        """Name of its feature store."""
        return re.sub(r"[^\w.+-]+", "-", self.name) + ".safetensors"


def main(arguments: CompareArguments, training: Sequence[str] = ()) -> None:
    """Run the command.

    Args:
        arguments: Its own arguments.
        training: Those of train_agent.py.
    """
    common = common_arguments(arguments, training)
    rows = contestants(arguments, make_stores(arguments), common)
    run_comparison(arguments, arguments.folder, rows, common)


def common_arguments(arguments: CompareArguments, training: Sequence[str]) -> list[str]:
    """Arguments of train_agent.py that all rows share."""
    data = [] if arguments.data_dir is None else ["--data-dir", str(arguments.data_dir)]
    return ["--world", arguments.world, *data, *arguments.choice, *training]


def contestants(
    arguments: CompareArguments, stores: dict[str, Path], common: Sequence[str]
) -> "list[ComparisonRow]":
    """The rows that are trained: each encoder, then the ablations of the first one."""
    from agents.experiments.comparison import ABLATIONS, ComparisonRow

    seeing = {name: [*common, "--features", str(path)] for name, path in stores.items()}
    first, *_ = seeing
    return [
        *(ComparisonRow(name, tuple(given)) for name, given in seeing.items()),
        *(
            ComparisonRow(f"{first}, {name}", (*seeing[first], *ABLATIONS[name]))
            for name in arguments.ablations
        ),
    ]


def make_stores(arguments: CompareArguments) -> dict[str, Path]:
    """Feature stores by name of the encoder; views are drawn once for each size of picture.

    Raises:
        ValueError: No encoder, or two of one name.
    """
    from extract_features import ExtractArguments, view_source, views_of

    from encoders.clip import ClipEncoder
    from encoders.extraction.extraction import encode_viewpoints_with, encoder_metadata
    from storage.features.shards import is_finished

    named = [NamedEncoder.parse(text) for text in arguments.encoders]
    if not named or len({one.file for one in named}) < len(named):
        raise ValueError(f"--encoders {' '.join(arguments.encoders)}: name some, and differently")
    told = ExtractArguments(
        world=arguments.world, data_dir=arguments.data_dir, pictures=arguments.pictures
    )
    stores: dict[str, Path] = {}
    missing: dict[tuple[int, int], dict[Path, ClipEncoder]] = {}
    for one in named:
        encoder = ClipEncoder.load(one.source, one.pretrained, arguments.precision)
        source, viewpoints = view_source(told, encoder.image_size)
        metadata = {**encoder_metadata(encoder), **source.metadata}
        stores[one.name] = arguments.folder / "features" / one.file
        for path in possible_stores(arguments, stores[one.name]):
            if is_finished(path, list(viewpoints), metadata):
                stores[one.name] = path
                break
        else:
            missing.setdefault(encoder.image_size, {})[stores[one.name]] = encoder
    for size, encoders in missing.items():
        source, viewpoints = view_source(told, size)
        load_views = partial(views_of, source, viewpoints, arguments.workers)
        encode_viewpoints_with(list(viewpoints), load_views, encoders, source.metadata)
    return stores


def possible_stores(arguments: CompareArguments, own: Path) -> Iterable[Path]:
    """Where features of an encoder may lie already: the comparison's, or those of the world."""
    from envs.worlds import world_files

    shipped = world_files(arguments.world, arguments.data_dir).features
    return (own,) if shipped is None else (own, shipped)


if __name__ == "__main__":
    own, training = split_command_line(sys.argv[1:])
    with friendly_errors():
        main(tyro.cli(CompareArguments, description=__doc__, args=own), training)

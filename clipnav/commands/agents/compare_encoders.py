"""Compare encoders: train the same follower on the features of each.

$ clipnav compare-encoders --encoders house_clip labels=runs/house_supervised/house_supervised
$ clipnav compare-encoders --encoders house_clip efficientnet-lite0 house_clip:random
$ clipnav compare-encoders --encoders house_clip ViT-B-32:openai --world houses-standard --seeds 5
$ clipnav compare-encoders --ablations empty-instructions shuffled-instructions no-vision
$ clipnav compare-encoders --encoders house_clip RN50:openai -- --dataset rxr --minutes 10
$ clipnav compare-encoders --encoders house_clip mine=features/mine.safetensors

Missing feature stores are written, a follower is trained on each store with each seed, and all
followers are scored on the evaluation splits. OUTPUT then contains comparison.json, comparison.md
and comparison.png, with the mean and its interval over seeds for each metric. Arguments after --
are those of clipnav train-agent and apply to all followers on which they have an effect. Run the
same command again to resume an interrupted comparison.

The weights of a run are selected on the first split, so the other splits have no influence on the
selection.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from clipnav.comparisons import (
    AgentComparisonArguments,
    effective_rows,
    run_comparison,
    split_command_line,
)
from clipnav.encoders.named_encoder import named_encoders
from clipnav.parsing import parse
from clipnav.storage.errors import UserError

if TYPE_CHECKING:
    from clipnav.encoders.clip import ClipEncoder
    from clipnav.training.comparisons import ComparisonRow

# Flags of trainings that this comparison sets, and the flags that determine them.
_OWN_FLAGS = {"--features": "--encoders", "--world": "--world", "--data-dir": "--data-dir"}

Ablation = Literal["empty-instructions", "shuffled-instructions", "no-vision"]


@dataclass(frozen=True)
class CompareEncodersArguments(AgentComparisonArguments):
    """Compare followers that are trained on the features of different encoders."""

    encoders: tuple[str, ...] = ("house_clip",)
    """Encoders: "house_clip", "efficientnet-lite0" (ImageNet's labels; requires the extra "bench"),
    an open_clip name with its weights (ViT-B-32:openai), a folder in open_clip's local-dir format,
    one of these with random weights (house_clip:random), or a feature store of any model
    (FILE.safetensors); each can be given a name (NAME=FOLDER). The others are compared with the
    first one."""
    ablations: tuple[Ablation, ...] = ()
    """Additional rows: followers of the first encoder without instructions, with instructions of
    other paths, or without visual features, in training and evaluation."""
    world: Literal["houses", "houses-standard", "matterport"] = "houses"
    """World of the agents, whose pictures are encoded."""
    data_dir: Path | None = None
    """Data folder of world matterport."""
    scan_dir: Path | None = None
    """Folder of the scans with skyboxes, by default DATA_DIR/matterport/v1/scans."""
    precision: Literal["auto", "fp32", "medium", "bf16", "fp16"] = "auto"
    """Precision of the encoders, see docs/encoders.md."""
    output: Path | None = None
    """Folder of stores, runs and results, by default runs/comparison-WORLD."""
    workers: int = 2
    """Number of processes that load views, and later of training processes with one thread
    each."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.ablations)) < len(self.ablations):
            raise UserError(f"--ablations {' '.join(self.ablations)}: one occurs twice; remove it")

    @property
    def folder(self) -> Path:
        """Folder of all results."""
        return self.output or Path("runs") / f"comparison-{self.world}"


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    own, training = split_command_line(arguments, _OWN_FLAGS)
    config = parse(CompareEncodersArguments, __name__, __doc__, own)
    data = [] if config.data_dir is None else ["--data-dir", str(config.data_dir)]
    common = ["--world", config.world, *data, *config.choice, *training]
    check_training(config, common)
    rows = contestants(config, make_stores(config), common)
    run_comparison(config, config.folder, rows, common)


def check_training(arguments: CompareEncodersArguments, common: Sequence[str]) -> None:
    """Check the arguments of the trainings and the splits before features are computed."""
    from clipnav.agents.experiments.comparison import check_episodes

    check_episodes(contestants(arguments, {"": Path("features")}, common))


def contestants(
    arguments: CompareEncodersArguments, stores: dict[str, Path], common: Sequence[str]
) -> "list[ComparisonRow]":
    """Return the rows to train: each encoder, then the ablations of the first one."""
    from clipnav.agents.experiments.comparison import ABLATIONS
    from clipnav.agents.settings.command_line import parse_agent

    rows = [(name, ["--features", str(path)]) for name, path in stores.items()]
    first, features = rows[0]
    for name in arguments.ablations:
        rows.append((f"{first}, {name}", [*features, *ABLATIONS[name]]))
    return effective_rows(rows, common, parse_agent)


def make_stores(arguments: CompareEncodersArguments) -> dict[str, Path]:
    """Write missing feature stores, loading views once for each input size."""
    from clipnav.encoders.extraction.arguments import ExtractArguments
    from clipnav.encoders.extraction.encoding import encode_viewpoints_with, encoder_metadata
    from clipnav.encoders.extraction.world_features import load_views, view_source
    from clipnav.envs.worlds import world_files
    from clipnav.storage.features.opening import open_store
    from clipnav.storage.features.shards import is_finished

    named = named_encoders(arguments.encoders)
    extraction = ExtractArguments(
        world=arguments.world, data_dir=arguments.data_dir, scan_dir=arguments.scan_dir
    )
    stores: dict[str, Path] = {}
    missing: dict[tuple[int, int], dict[Path, ClipEncoder]] = {}
    for entry in named:
        if entry.is_store:
            stores[entry.name] = open_store(entry.source).path
            continue
        encoder = entry.load(arguments.precision)
        source, viewpoints = view_source(extraction, encoder.image_size)
        metadata = {**encoder_metadata(encoder), **source.metadata}
        stores[entry.name] = arguments.folder / "features" / entry.file
        shipped = world_files(arguments.world, arguments.data_dir).features
        for path in filter(None, (stores[entry.name], shipped)):
            if is_finished(path, list(viewpoints), metadata):
                stores[entry.name] = path
                break
        else:
            missing.setdefault(encoder.image_size, {})[stores[entry.name]] = encoder
    for size, encoders in missing.items():
        source, viewpoints = view_source(extraction, size)
        loader = partial(load_views, source, viewpoints, arguments.workers)
        encode_viewpoints_with(list(viewpoints), loader, encoders, source.metadata)
    return stores

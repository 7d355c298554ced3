"""Command lines of the agents: settings whose defaults depend on other settings."""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, get_args

import tyro

from agents.configs import Language, Recipe, SearchConfig, SpeakerTrainConfig, TrainConfig
from agents.presets import preset, speaker_preset
from envs.worlds import Dataset, World
from training.resuming import parse_resumed
from training.settings import Config, check_counts, read_config

# What may change when a run goes on. All else would make it another run.
_MAY_CHANGE = frozenset(
    "resume iterations minutes evaluate_every evaluation_batch_size data_dir features "
    "threads device".split()
)
_SHORT_FORMS = {"--no-language": ["--language", "none"]}


@dataclass(frozen=True)
class EvaluateConfig:
    """Which run is evaluated on what; what is given takes the place of the run's settings."""

    run: tyro.conf.Positional[Path]
    """Folder that train_agent.py wrote."""
    splits: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--split"])] = ("val_unseen",)
    """Splits to walk: train, val_seen, val_unseen, test, ..."""
    language: Language | None = None
    """What the follower is told, in place of what it was told in training: read, none, shuffled."""
    baselines: bool = True
    """Walk with the baselines, too."""
    submission: Path | None = None
    """Write the paths walked in the split here, in the format of the data set's test server."""
    partial: bool = False
    """Write a submission of one language alone where the run reads no other; servers refuse it."""
    traces: Path | None = None
    """Record what everybody sees and does here, for visualise_episode.py and plot_results.py."""
    data_dir: Path | None = None
    """Folder of the data, if it has moved since the training."""
    features: Path | None = None
    """Feature store, if it has moved or covers other scans; of the same encoder."""
    search: SearchConfig = field(default_factory=SearchConfig)
    """Search before walking; a submission then holds the walk of the search, too."""
    batch_size: int = 256
    """Episodes walked at once."""
    threads: int | None = None
    """Processor threads of torch; its own choice by default."""
    device: str = "cpu"
    """Where the follower computes."""

    def __post_init__(self) -> None:
        check_counts(self, ("batch_size", "threads"))
        if not self.splits or (self.submission is not None and len(self.splits) > 1):
            raise ValueError(
                f"--splits {' '.join(self.splits)}: name one at least, and with --submission one "
                "alone, for a test server takes one split in a file"
            )

    def settings(self, saved: TrainConfig) -> TrainConfig:
        """Settings of the run with what this command line changes."""
        return dataclasses.replace(
            saved,
            language=self.language or saved.language,
            data_dir=self.data_dir or saved.data_dir,
            features=self.features or saved.features,
            evaluation_batch_size=self.batch_size,
            device=self.device,
        )


@dataclass(frozen=True)
class _First:
    """What is read first of a command line, for it chooses the defaults of the rest."""

    dataset: Dataset
    world: World
    recipe: Recipe | None
    translated: bool
    continued: bool


def parse_train(arguments: Sequence[str], description: str | None = None) -> TrainConfig:
    """Settings of a follower's training from its command line, see `_parse`."""

    def defaults(first: _First) -> TrainConfig:
        return preset(first.dataset, first.world, first.recipe, first.translated, first.continued)

    return _parse(TrainConfig, defaults, arguments, description)


def parse_speaker(arguments: Sequence[str], description: str | None = None) -> SpeakerTrainConfig:
    """Settings of a speaker's training from its command line, see `_parse`."""

    def defaults(first: _First) -> SpeakerTrainConfig:
        return speaker_preset(first.dataset, first.world, first.recipe)

    return _parse(SpeakerTrainConfig, defaults, arguments, description)


def _parse(
    kind: type[Config],
    defaults: Callable[[_First], Config],
    arguments: Sequence[str],
    description: str | None,
) -> Config:
    """Settings of a training run from its command line; --help begins with the description.

    --dataset, --world, --preset, --back-translation.speaker and --start-from are read first, for
    they choose the defaults of the rest; --resume takes all defaults from the run that it names.
    --no-language is short for --language none, and names may have _ in place of -.

    Raises:
        FileNotFoundError: --resume names no run.
        ValueError: A flag contradicts the run to resume; names both values.
    """
    named = [_with_hyphens(word) for word in arguments]
    arguments = [word for given in named for word in _SHORT_FORMS.get(given, [given])]
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    # A value that is missing is complained of below, by the parser that knows all flags.
    first.add_argument("--dataset", nargs="?", default="r2r")
    first.add_argument("--world", nargs="?", default="houses")
    first.add_argument("--preset", nargs="?")
    first.add_argument("--back-translation.speaker", nargs="?", dest="speaker")
    first.add_argument("--start-from", nargs="?", type=Path)
    first.add_argument("--resume", nargs="?", type=Path)
    known, _ = first.parse_known_args(arguments)
    if known.resume is not None:
        return parse_resumed(kind, known.resume, arguments, _MAY_CHANGE, description)
    # A name that is none of the choices is refused below, with the list of them.
    dataset = known.dataset if known.dataset in get_args(Dataset) else "r2r"
    world = known.world if known.world in get_args(World) else "houses"
    chosen = _First(
        dataset=dataset,
        world=world,
        recipe=known.preset if known.preset in get_args(Recipe) else None,
        translated=known.speaker is not None,
        continued=known.start_from is not None and _is_of(known.start_from, dataset, world),
    )
    return tyro.cli(kind, description=description, default=defaults(chosen), args=arguments)


def _with_hyphens(word: str) -> str:
    """A word of a command line, with the name of a flag as --help has it."""
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value if word.startswith("--") else word


def _is_of(run: Path, dataset: Dataset, world: World) -> bool:
    """Whether a run is on some data."""
    config = read_config(run, TrainConfig)
    return (config.dataset, config.world) == (dataset, world)

"""Settings of the trainings of both representations; this module does not import torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.agents.settings.command_line import parse_training
from clipnav.envs.datasets import dataset_spec
from clipnav.envs.worlds import World, world_spec
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_outputs
from clipnav.training.run_settings import EvaluatedTrainingConfig, read_presets
from clipnav.training.settings import (
    check_counts,
    check_dropout,
    check_numbers,
    check_positive,
    check_splits,
    check_unused_options,
)

ClearRecipe = Literal["clear"]
PairRule = Literal["any", "same-language", "other-language"]
Pooling = Literal["mean", "first"]
_FILE = Path(__file__).with_name("presets.toml")


@dataclass(frozen=True)
class RepresentationTrainConfig(EvaluatedTrainingConfig):
    """Settings that the trainings of both representations share."""

    MAY_CHANGE: ClassVar = frozenset(
        "resume iterations minutes evaluate_every data_dir features threads device track".split()
    )
    COMMON: ClassVar[tuple[str, ...]] = tuple(
        "world preset data_dir iterations minutes batch_size temperature optimiser.learning_rate "
        "seed output resume device".split()
    )

    world: World = "houses"
    """Buildings: houses, houses-standard, matterport or a package's."""
    preset: ClearRecipe | None = None
    """Published hyper-parameters of CLEAR as defaults of the other flags."""
    data_dir: Path | None = None
    """Folder with matterport/ and r2r/, rxr/ or r4r/; required by --world matterport."""
    iterations: int = 1_500
    batch_size: int = 32
    """Number of pairs in a batch; each is a negative of the others. The processes of torchrun
    divide a batch."""
    temperature: float = 0.5
    """Divisor of the cosine similarities in the contrastive loss."""
    contrastive_weight: float = 1.0
    """Weight of the contrastive loss."""
    evaluate_every: int = 250
    resume: Path | None = None
    """Folder of a run to resume, with its settings. Only --iterations, --minutes, --evaluate-every,
    --data-dir, --track, --threads and --device may change."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("batch_size",), least=2)
        positive = ("temperature", "contrastive_weight")
        check_numbers(self, positive)
        check_positive(self, positive)


@dataclass(frozen=True)
class LanguageEncoderConfig:
    """Tokens and encoder of the instructions."""

    tokens: Literal["subwords", "pretrained"] = "subwords"
    """Tokens of the instructions: byte-pair subwords learned from the training split, for an
    encoder that is trained from scratch, or those of a Hugging Face model, which is fine-tuned."""
    vocabulary_size: int = 8_000
    """Size of the subword vocabulary."""
    model: str | None = None
    """Name or local folder of the Hugging Face model, for --encoder.tokens pretrained."""
    hidden_size: int = 128
    """Width of the encoder."""
    layers: int = 2
    """Number of transformer layers."""
    heads: int = 4
    """Number of attention heads in a layer."""
    feed_forward_size: int = 512
    """Width of the feed-forward networks."""
    dropout: float = 0.1
    """Dropout rate of the encoder."""
    pooling: Pooling = "mean"
    """Embedding of an instruction: the mean of its hidden states, or the state of the first token
    (CLEAR: first)."""

    def __post_init__(self) -> None:
        sizes = ("hidden_size", "layers", "heads", "feed_forward_size")
        check_counts(self, ("vocabulary_size", *sizes), "encoder.")
        check_dropout(self, ("dropout",), "encoder.")
        if (self.tokens == "pretrained") != (self.model is not None):
            raise UserError(
                "--encoder.tokens pretrained requires --encoder.model, and the other way round; "
                "give both or neither"
            )
        if self.hidden_size % self.heads:
            raise UserError(
                f"--encoder.hidden-size {self.hidden_size}: must be a multiple of --encoder.heads "
                f"{self.heads}"
            )
        if self.model is not None:
            names = ("vocabulary_size", *sizes, "dropout")
            check_unused_options(
                self, dict.fromkeys(names, "with --encoder.model"), part="encoder."
            )


@dataclass(frozen=True)
class LanguageConfig(RepresentationTrainConfig):
    """Settings of the training of a language representation."""

    COMMAND: ClassVar = "clipnav train-language-representation"
    COMMON: ClassVar[tuple[str, ...]] = (
        "dataset",
        "languages",
        "partner",
        *RepresentationTrainConfig.COMMON,
        "encoder.model",
    )

    dataset: str = "rxr"
    """Dataset of instructions."""
    languages: tuple[str, ...] = ()
    """Languages of the instructions (rxr: en, hi, te); all languages by default."""
    partner: PairRule = "any"
    """Partner of an instruction: any other instruction of the path, one in the same language, or
    one in another language."""
    symmetric: bool = True
    """Use both instructions of a pair as anchors, as in SimCLR (CLEAR: no)."""
    centre: bool = True
    """Subtract the mean embedding of a batch in the loss, and that of a split in retrieval and
    pairing (CLEAR: no). With random weights all instructions have nearly the same embedding, and
    the loss alone does not separate them."""
    max_instruction_length: int = 160
    """Maximum number of tokens of an instruction; further tokens are dropped."""
    select_metric: Literal["MRR", "R@1", "R@5", "log_prob"] = "MRR"
    """Metric that selects the best weights: mean reciprocal rank, recall at 1 or 5 of retrieval, or
    the mean log-probability of the partner in a batch, the negative contrastive loss."""
    encoder: LanguageEncoderConfig = field(default_factory=LanguageEncoderConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        dataset_spec(self.dataset)
        world_spec(self.world)
        check_counts(self, ("max_instruction_length",), least=2)

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        languages = "".join(f"-{language}" for language in self.languages)
        return f"language-{self.dataset}-{self.world}{languages}"

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `TrainingConfig`."""
        unused = super().unused_options()
        if len(dataset_spec(self.dataset).languages) == 1:
            unused["languages"] = f"with --dataset {self.dataset}, which has one language"
        return unused


@dataclass(frozen=True)
class VisualConfig(RepresentationTrainConfig):
    """Settings of the training of a visual representation."""

    COMMAND: ClassVar = "clipnav train-visual-representation"
    COMMON: ClassVar[tuple[str, ...]] = (
        "pairs",
        "features",
        "object_constraint",
        *RepresentationTrainConfig.COMMON,
    )

    pairs: Path | None = None
    """Folder with rxr_<split>_guide_multi.jsonl and objects_27.json, such as the output of clipnav
    pair-paths; required."""
    features: Path | None = None
    """Feature store; the world's own by default."""
    object_constraint: bool = True
    """Compare only views whose counterpart in the paired panorama shows an object of the same
    class."""
    standardise: bool = True
    """Standardise visual features to mean 0 and standard deviation 1 over the training scans, or
    less if they are wider than house_clip's, so that vectors are as long (CLEAR: no)."""
    input_dropout: float = 0.3
    """Dropout rate of the features."""
    hidden_dropout: float = 0.5
    """Dropout rate of the hidden layer."""
    select_metric: Literal["MRR", "R@1", "R@5"] = "MRR"
    """Metric that selects the best weights: mean reciprocal rank, or recall at 1 or 5."""
    resume: Path | None = None
    """Folder of a run to resume, with its settings. Only --iterations, --minutes, --evaluate-every,
    --data-dir, --features, --track, --threads and --device may change."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dropout(self, ("input_dropout", "hidden_dropout"))

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return f"visual-rxr-{self.world}"


@dataclass(frozen=True)
class PairPathsConfig:
    """Settings of the search for similar paths in other buildings."""

    language_representation: Path
    """Run of clipnav train-language-representation that embeds the instructions."""
    output: Path
    """Folder for rxr_<split>_guide_multi.jsonl and objects_27.json."""
    world: World = "houses"
    """Buildings: houses, houses-standard, matterport or a package's."""
    data_dir: Path | None = None
    """Folder with matterport/ and rxr/; required by --world matterport."""
    splits: tuple[str, ...] = ("train", "val_seen", "val_unseen")
    """Splits; the counterpart of a path is in the same split."""
    objects: bool = True
    """Write the visible objects of the built-in houses to objects_27.json."""
    threads: int | None = None
    """Number of CPU threads of torch; torch's default if not given."""
    device: str = "cpu"
    """Device of the language representation: cpu, cuda, cuda:1, ..."""

    def __post_init__(self) -> None:
        check_counts(self, ("threads",))
        check_splits(self, ("splits",))
        check_outputs(self, {"output": ()})


def language_defaults(world: World, recipe: ClearRecipe | None = None) -> LanguageConfig:
    """Return the default settings of a language representation."""
    start = LanguageConfig(world=world, preset=recipe)
    return read_presets(start, _FILE, "language" if recipe is None else "clear-language")


def visual_defaults(world: World, recipe: ClearRecipe | None = None) -> VisualConfig:
    """Return the default settings of a visual representation; arguments as `language_defaults`."""
    start = VisualConfig(world=world, preset=recipe)
    return read_presets(start, _FILE, "visual" if recipe is None else "clear-visual")


def parse_language(arguments: Sequence[str], description: str | None = None) -> LanguageConfig:
    """Return the settings of a language representation from its command line."""
    return parse_training(
        LanguageConfig, lambda _, *given: language_defaults(*given), arguments, description
    )


def parse_visual(arguments: Sequence[str], description: str | None = None) -> VisualConfig:
    """Return the settings of a visual representation from its command line."""
    config = parse_training(
        VisualConfig, lambda _, *given: visual_defaults(*given), arguments, description
    )
    if config.pairs is None:
        raise UserError(
            "--pairs is missing; name a folder of paired paths, made with clipnav pair-paths"
        )
    return config

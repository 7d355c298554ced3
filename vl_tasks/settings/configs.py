"""Settings of the tasks: frozen dataclasses whose field docstrings are the command line's help.

Nothing here imports torch, so that ``--help`` answers at once.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from training.optimiser_settings import OptimiserConfig
from training.settings import check_counts, check_minutes
from vl_tasks.text.words import Tokenizer

Fit = Literal["center_crop", "stretch", "pad", "native"]
Reasoner = Literal["pythia", "mcan", "movie-mcan"]
Reduction = Literal["mean", "sum"]
HELD_OUT = "held-out"  # a split of every twentieth picture of the training split


@dataclass(frozen=True)
class GridConfig:
    """Where features of pictures come from."""

    encoder: str = "house_clip"
    """CLIP that sees the pictures: "house_clip", a folder, or a name that open_clip knows."""
    pretrained: str | None = None
    """Weights of an open_clip name: a tag ("openai") or a file."""
    random_weights: bool = False
    """Draw the encoder's weights instead, to see what trained ones are worth."""
    precision: str = "auto"
    """fp32, medium, bf16 or fp16; auto takes the fastest that the processor is made for."""
    fit: Fit = "center_crop"
    """How pictures come to size: as the encoder was trained, stretched, padded, or in their own."""
    size: tuple[int, int] | None = None
    """Height and width in pixels; the encoder's own by default."""
    keep: bool = True
    """Keep grids on disk (below $CLIPNAV_CACHE), in half precision."""


@dataclass(frozen=True)
class RunConfig(ABC):
    """What every training has."""

    data: str = "house"
    """"house" (the built-in houses), "easy-vqa" (questions only), or a folder; docs/vl_tasks.md
    says what must lie in it."""
    images: Path | None = None
    """Folder of the pictures, if it is not in the data's."""
    vision: bool = True
    """See the pictures; without, what language alone gives away is measured."""
    grids: GridConfig = field(default_factory=GridConfig)
    """Features of pictures."""
    standardise: bool = True
    """Bring features to mean 0 and spread 1 over the training pictures (the originals: no);
    two-tower never does, it compares vectors of unit length."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    """How weights follow gradients."""
    iterations: int = 1000
    """Weight updates."""
    minutes: float | None = None
    """End after this much training time, evaluation not counted, and not after --iterations."""
    batch_size: int = 64
    """Records in an update (captions: pictures)."""
    evaluate_every: int = 500
    """Iterations between looks at the validation split."""
    evaluation_batch: int = 256
    """Records that are evaluated at once."""
    select_by: str = "val"
    """Split that is evaluated during training and chooses the best weights; "held-out" takes every
    twentieth picture out of the training split for that."""
    evaluation_splits: tuple[str, ...] = ("val",)
    """Splits that are evaluated with the best weights when training is over."""
    submit: str | None = None
    """Answer this split, too, when training is over, its answers known or not:
    RUN/submission_SPLIT.json."""
    output: Path | None = None
    """Folder of the run; runs/NAME by default."""
    resume: Path | None = None
    """Folder of a run to go on with; its settings are taken over."""
    seed: int = 0
    """Of weights, order and dropout."""
    threads: int | None = None
    """Processor threads of torch; its own choice by default."""
    device: str = "cpu"
    """Where the model computes."""

    def __post_init__(self) -> None:
        sizes = ("iterations", "batch_size", "evaluate_every", "evaluation_batch")
        check_counts(self, (*sizes, "threads"))
        check_minutes(self.minutes)
        if self.optimiser.warmup_stairs and not self.optimiser.warmup:
            raise ValueError("--optimiser.warmup-stairs: there is no --optimiser.warmup to divide")
        if HELD_OUT in (*self.evaluation_splits, self.submit) and self.select_by != HELD_OUT:
            raise ValueError(
                f"the split {HELD_OUT} is there with --select-by {HELD_OUT} only; add that, or "
                "leave it out of --evaluation-splits and --submit"
            )

    @property
    def run_name(self) -> str:
        """Folder of the run below runs/ where none is given."""
        data = Path(self.data).name
        return f"{self.task}-{data}{'' if self.vision else '-no-vision'}"

    @property
    @abstractmethod
    def task(self) -> str:
        """Name of the task."""


@dataclass(frozen=True)
class PythiaConfig:
    """Sizes of Pythia."""

    hidden: int = 1024
    """Width of the question's LSTM."""
    attention: int = 512
    """Hidden width of the attention over words."""
    product: int = 5000
    """Width of the products of picture and question."""
    text_head: int = 300
    """Width of the classifier's branch that ends in word vectors."""
    dropout: float = 0.1
    """Dropout on products."""


@dataclass(frozen=True)
class McanConfig:
    """Sizes of MCAN and MoVie+MCAN."""

    hidden: int = 512
    """Width of words and places."""
    feed_forward: int = 2048
    """Hidden width of the feed-forward layers."""
    layers: int = 6
    """Self-attention layers over words, and as many guided ones over places."""
    heads: int = 8
    """Attention heads."""
    pooling: int = 512
    """Hidden width of the attention that pools words and places."""
    fused: int = 1024
    """Width of the fused vector."""
    dropout: float = 0.1
    """Dropout on attention, on feed-forward layers and in pooling."""
    positions: bool = False
    """Tell the model where in the picture places are (the originals: no)."""


@dataclass(frozen=True)
class VqaConfig(RunConfig):
    """Settings of a training on questions."""

    COMMAND: ClassVar[str] = "finetune_vqa.py"
    """What makes such runs."""
    preset: str = "houses"
    """Recipe that the defaults are of."""
    model: Reasoner = "mcan"
    """What brings picture and question together."""
    pythia: PythiaConfig = field(default_factory=PythiaConfig)
    """Sizes of Pythia."""
    mcan: McanConfig = field(default_factory=McanConfig)
    """Sizes of MCAN and MoVie+MCAN."""
    regions: Path | None = None
    """Folder of openvqa's bottom-up features (an .npz of each picture), to be seen in place of
    grids."""
    faithful: bool = False
    """Compute as the published code does: in Pythia and MoVie+MCAN padding takes part, MCAN has
    openvqa's layer norms."""
    loss: Reduction = "mean"
    """Mean (mmf) or sum (openvqa) of the loss over the questions of a batch."""
    tokenizer: Tokenizer = "ours"
    """What cuts questions into words: our rule, or that of openvqa or mmf."""
    embedding: int = 300
    """Width of word vectors."""
    glove: Path | None = None
    """GloVe text file that word vectors begin with."""
    words: int = 14
    """Words of a question that are read."""
    answers: Path | None = None
    """Vocabulary of answers, ours or a published one; made of the training split by default."""
    min_count: int = 9
    """How often an answer must be given to be one of the classes."""
    train_splits: tuple[str, ...] = ("train",)
    """Splits to learn from."""
    variant: Literal["V0", "V1", "V2", "V3"] = "V2"
    """Official evaluator that accuracy is of, see docs/vl_tasks.md."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("embedding", "words", "min_count"))
        if self.regions is not None and self.model == "movie-mcan":
            raise ValueError(
                "--regions: movie-mcan convolves a grid, which regions are not; take --model mcan "
                "or pythia, or leave --regions out"
            )
        if self.regions is not None and self.model == "mcan" and self.mcan.positions:
            raise ValueError("--regions: regions have no places in a grid; add --no-mcan.positions")

    @property
    def task(self) -> str:
        """Name of the task."""
        return f"vqa-{self.model}"


@dataclass(frozen=True)
class EntailmentConfig(RunConfig):
    """Settings of a training on entailment."""

    COMMAND: ClassVar[str] = "finetune_snli_ve.py"
    """What makes such runs."""
    preset: str = "houses"
    """Recipe that the defaults are of."""
    model: Literal["fused", "two-tower"] = "fused"
    """MCAN over words and places, or a small network over CLIP's two embeddings."""
    mcan: McanConfig = field(default_factory=McanConfig)
    """Sizes of the fused model."""
    hidden: int = 512
    """Hidden width of the two-tower model."""
    embedding: int = 300
    """Width of word vectors."""
    glove: Path | None = None
    """GloVe text file that word vectors begin with."""
    words: int = 30
    """Words of a hypothesis that are read."""
    dropout: float = 0.1
    """Dropout of the two-tower model."""

    @property
    def task(self) -> str:
        """Name of the task."""
        return f"snli-ve-{self.model}"


@dataclass(frozen=True)
class CaptionerConfig:
    """Sizes of the captioner."""

    width: int = 512
    """Width of words and places."""
    feed_forward: int = 2048
    """Hidden width of the feed-forward layers."""
    layers: int = 6
    """Layers of the encoder, and as many of the decoder."""
    heads: int = 8
    """Attention heads."""
    dropout: float = 0.1
    """Dropout in the layers."""
    input_dropout: float = 0.5
    """Dropout on embedded places."""
    positions: bool = False
    """Tell the model where in the picture places are (the original: no)."""
    faithful: bool = False
    """Layer norms as in the published code: unbiased spread, epsilon outside the root."""


@dataclass(frozen=True)
class CaptionConfig(RunConfig):
    """Settings of a captioner's training.

    The phase "scst" goes on from the weights of a cross-entropy run, named by `start`.
    """

    COMMAND: ClassVar[str] = "train_captioner.py"
    """What makes such runs."""
    preset: str = "houses"
    """Recipe that the defaults are of."""
    phase: Literal["xe", "scst"] = "xe"
    """Cross-entropy, or self-critical sequence training."""
    start: Path | None = None
    """Folder of the run whose weights self-critical training begins with."""
    captioner: CaptionerConfig = field(default_factory=CaptionerConfig)
    """Sizes of the captioner."""
    captions_per_image: int = 5
    """Captions of a picture in a batch (cross-entropy), or samples of it (self-critical)."""
    baseline: Literal["greedy", "samples"] = "greedy"
    """What the reward of a sample is compared with: the greedy caption's, or the other samples'."""
    max_words: int = 16
    """Words of a caption that are learnt."""
    min_count: int = 6
    """How often a word must occur to be known."""
    beams: int = 5
    """Beams of the final evaluation; during training captions are greedy."""
    max_length: int = 20
    """Words of a caption at most."""
    tokenizer: Literal["auto", "java", "python"] = "auto"
    """What cuts captions into words for the final scores: the official one in Java, or "python",
    which needs no Java and leaves METEOR out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("captions_per_image", "max_words", "beams", "max_length"))
        if (self.phase == "scst") != (self.start is not None):
            raise ValueError("--phase scst and --start RUN (of a cross-entropy run) go together")

    @property
    def task(self) -> str:
        """Name of the task."""
        return f"captions-{self.phase}"

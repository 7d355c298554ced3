"""Settings of CLIP-ViL_p that pre-training and fine-tuning share."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts, check_dropout, check_numbers
from clipnav.vl_tasks.settings.network_sizes import check_heads

Precision = Literal["auto", "fp32", "medium", "bf16", "fp16"]
FineTunedModel = Literal["clip-vil-p", "multilingual"]
FINE_TUNED_MODELS: tuple[str, ...] = get_args(FineTunedModel)


@dataclass(frozen=True)
class TextConfig:
    """Sizes and initial weights of the transformer."""

    bert: str | None = None
    """BERT whose weights and word pieces are used: a folder of transformers, or a name on Hugging
    Face. Default: random weights, and word pieces learnt from the training sentences."""
    vocabulary_size: int = 4000
    """Largest number of word pieces that are learnt (without `bert`)."""
    hidden_size: int = 768
    """Width of the hidden states (without `bert`)."""
    layers: int = 12
    """Number of layers (without `bert`)."""
    heads: int = 12
    """Number of attention heads (without `bert`)."""
    feed_forward_size: int = 3072
    """Hidden width of the feed-forward layers (without `bert`)."""
    dropout: float = 0.1
    """Dropout rate of hidden states and attention weights."""
    pooling: Literal["first", "means"] = "first"
    """Hidden state of a pair for matching and answers: that of the first word piece (as published),
    or the mean over the words plus the mean over the cells. New networks learn faster with means,
    because the first word piece receives little of each cell."""

    def check(self, part: str) -> None:
        """Check the settings.

        Args:
            part: Prefix of their flags, such as "text.".

        Raises:
            UserError: A setting is out of range; names its flag.
        """
        names = ("vocabulary_size", "hidden_size", "layers", "heads", "feed_forward_size")
        check_counts(self, names, part)
        check_dropout(self, ("dropout",), part)
        check_heads(self.hidden_size, self.heads, f"--{part}hidden-size", f"--{part}heads")


@dataclass(frozen=True)
class TrunkConfig:
    """The visual trunk: an image tower of a CLIP, trained with the transformer."""

    encoder: str = "house_clip"
    """CLIP whose image tower is the trunk: "house_clip", a folder, or the name of an open_clip
    model."""
    pretrained: str | None = None
    """Weights of an open_clip model: a tag ("openai") or a file."""
    random_weights: bool = False
    """Random instead of trained weights, to measure the benefit of CLIP's pre-training."""
    positions: int = 25
    """Number of rows and of columns that have position embeddings; 0: no such embeddings."""
    standardise: bool = True
    """Initialise the projection of the grid features as if each channel had mean 0 and standard
    deviation 1 over the training images (off in the original implementation)."""
    frozen_norms: bool = False
    """Keep the statistics of batch norms, instead of the statistics of each batch."""
    frozen: bool = False
    """Do not train the trunk."""

    def check(self, part: str) -> None:
        """Check the settings, see `TextConfig.check`."""
        check_counts(self, ("positions",), part, least=0)


@dataclass(frozen=True)
class TrunkOptimiserConfig:
    """Optimiser of the visual trunk."""

    learning_rate: float = 0.003
    """Learning rate of the first iterations (sgd), or largest learning rate (adamw)."""
    weight_decay: float = 4e-4
    """Weight decay: an L2 penalty (sgd), or decoupled (adamw)."""
    milestones: tuple[int, ...] = ()
    """Iterations at which the learning rate is multiplied by `decay`."""
    decay: float = 0.1
    """Factor at each milestone."""
    name: Literal["sgd", "adamw"] = "sgd"
    """Optimiser: sgd (without momentum, as published), or adamw, which trains all layers of a small
    trunk within a few thousand iterations; its learning rate follows the schedule of the
    transformer instead of `milestones`."""

    def check(self, part: str) -> None:
        """Check the settings.

        Args:
            part: Prefix of their flags, such as "trunk-optimiser.".

        Raises:
            UserError: A setting is out of range or has no effect; names its flag.
        """
        check_numbers(self, ("learning_rate", "weight_decay", "decay"), part)
        if self.name == "adamw" and self.milestones:
            raise UserError(
                f"--{part}milestones have no effect with --{part}name adamw, which follows the "
                "schedule of the transformer; omit them"
            )


@dataclass(frozen=True)
class FineTuningConfig:
    """Training end to end, of models that are trained with their image tower."""

    trunk_optimiser: TrunkOptimiserConfig = field(
        default_factory=lambda: TrunkOptimiserConfig(0.001)
    )
    """Optimiser of the visual trunk."""
    loss_scale: float | None = None
    """Factor of the loss: binary cross-entropy is averaged over the answers and multiplied by it,
    as in the published VQA command; cross-entropy (GQA) is multiplied by it. Default: binary
    cross-entropy is summed over the answers, which is the factor "number of answers"."""
    frozen_norms: bool = False
    """Keep the statistics of batch norms, instead of the statistics of each batch."""
    frozen_trunk: bool = False
    """Do not train the trunk."""
    dropout: float | None = None
    """Dropout rate of hidden states and attention weights. Default: that of the pre-training."""
    max_words: int = 20
    """Maximum number of word pieces of a sentence, with [CLS] and [SEP]."""
    accumulate: int = 1
    """Number of batches whose gradients are added up for one weight update."""
    sentences_per_image: int = 1
    """Number of sentences of one image that follow each other in an epoch. In a batch, they share
    one pass through the trunk, which takes most of the time of small networks."""
    precision: Precision = "fp32"
    """Precision of the network: fp32, medium (float32 with faster matrix products, which may
    round to bfloat16 internally), autocast to bf16 or fp16, or auto (bf16 where it is multiplied
    in hardware, otherwise medium)."""
    workers: int = 0
    """Number of processes that decode images; 0: decode in the main process."""

    def __post_init__(self) -> None:
        check_counts(self, ("accumulate", "sentences_per_image"), "clip-vil-p.")
        check_counts(self, ("max_words",), "clip-vil-p.", least=3)
        check_counts(self, ("workers",), "clip-vil-p.", least=0)
        if self.dropout is not None:
            check_dropout(self, ("dropout",), "clip-vil-p.")
        self.trunk_optimiser.check("clip-vil-p.trunk-optimiser.")


def check_image_size(size: tuple[int, int], flag: str) -> None:
    """Check the shorter and the longer side of images.

    Raises:
        UserError: The order is wrong, or a side is not above 0.
    """
    short, long = size
    if not 0 < short <= long:
        raise UserError(f"{flag} {short} {long}: give the shorter side first, both above 0")


def check_start(model: str, start: Path | None, vision: bool) -> None:
    """Check that --model clip-vil-p has a pre-trained run and images, and others no such run.

    The model multilingual may have a pre-trained run, and has images.

    Raises:
        UserError: --start-from is missing or has no effect, or --no-vision is set.
    """
    if model not in FINE_TUNED_MODELS:
        if start is not None:
            raise UserError(f"--start-from {start} has no effect with --model {model}; omit it")
        return
    if start is None and model == "clip-vil-p":
        raise UserError(
            "--model clip-vil-p requires --start-from RUN; name a run of clipnav pretrain-vl"
        )
    if not vision:
        raise UserError(f"--no-vision: {model} requires images; choose another --model")


def check_codes(languages: tuple[str, ...], flag: str) -> None:
    """Check the codes of languages, which are names of folders.

    Raises:
        UserError: There is none, one is not a code, or one occurs twice.
    """
    if not languages:
        raise UserError(f"{flag}: give at least one language, such as en")
    for number, language in enumerate(languages):
        if not re.fullmatch(r"[a-z]{2,3}([_-][A-Za-z]{2,8})?", language):
            raise UserError(f"{flag}: '{language}' is not the code of a language, such as en")
        if language in languages[:number]:
            raise UserError(f"{flag}: '{language}' occurs twice; remove one of them")

"""Settings of the networks that several tasks share, and of the frozen image encoder."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts, check_dropout, check_numbers

Fit = Literal["center_crop", "stretch", "pad", "native"]
Precision = Literal["auto", "fp32", "medium", "bf16", "fp16"]
FineTunedModel = Literal["clip-vil-p", "multilingual"]
FINE_TUNED_MODELS: tuple[str, ...] = get_args(FineTunedModel)
_TEXT_SIZES = ("vocabulary_size", "hidden_size", "layers", "heads", "feed_forward_size")


@dataclass(frozen=True)
class GridConfig:
    """Settings of the image encoder and its grid features."""

    encoder: str = "house_clip"
    """Image encoder: "house_clip", a folder, the name of an open_clip model, or
    "efficientnet-lite0" (ImageNet's labels; requires the extra "bench")."""
    pretrained: str | None = None
    """Weights of an open_clip model: a tag ("openai") or a file."""
    random_weights: bool = False
    """Random instead of trained encoder weights, to measure the benefit of pretraining."""
    precision: str = "auto"
    """Precision of the encoder: fp32, medium, bf16 or fp16; auto selects the fastest precision that
    the hardware supports natively."""
    fit: Fit = "center_crop"
    """Resizing of images: center_crop (as in the encoder's training), stretch or pad (to the input
    size), or native (original size)."""
    image_size: tuple[int, int] | None = None
    """Height and width of the encoder input in pixels; default: the encoder's training size."""
    keep: bool = True
    """Cache of grid features on disk (below $CLIPNAV_CACHE), in half precision."""


@dataclass(frozen=True)
class PythiaConfig:
    """Sizes of Pythia."""

    hidden_size: int = 1024
    """Width of the question LSTM."""
    attention_size: int = 512
    """Hidden width of the attention over words."""
    product_size: int = 5000
    """Width of the joint image-question embedding (elementwise product)."""
    text_head_size: int = 300
    """Hidden width of the classifier's text branch."""
    dropout: float = 0.1
    """Dropout rate of the joint image-question embedding."""

    def __post_init__(self) -> None:
        check_counts(
            self, ("hidden_size", "attention_size", "product_size", "text_head_size"), "pythia."
        )
        check_dropout(self, ("dropout",), "pythia.")


@dataclass(frozen=True)
class McanConfig:
    """Sizes of MCAN and MoVie+MCAN."""

    hidden_size: int = 512
    """Width of words and grid cells."""
    feed_forward_size: int = 2048
    """Hidden width of the feed-forward layers."""
    layers: int = 6
    """Number of self-attention layers over words, and of guided-attention layers over cells."""
    heads: int = 8
    """Number of attention heads."""
    pooling_size: int = 512
    """Hidden width of the attention pooling over words and grid cells."""
    fused_size: int = 1024
    """Width of the fused image-question vector."""
    dropout: float = 0.1
    """Dropout rate of attention, feed-forward layers and pooling."""
    positions: bool = False
    """Position embeddings of the grid cells (off in the original implementations)."""

    def __post_init__(self) -> None:
        names = (
            "hidden_size",
            "feed_forward_size",
            "layers",
            "heads",
            "pooling_size",
            "fused_size",
        )
        check_counts(self, names, "mcan.")
        check_dropout(self, ("dropout",), "mcan.")
        check_heads(self.hidden_size, self.heads, "--mcan.hidden-size", "--mcan.heads")


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
        """Check that the settings are in range; `part` is the prefix of their flags, "text."."""
        check_counts(self, _TEXT_SIZES, part)
        check_dropout(self, ("dropout",), part)
        check_heads(self.hidden_size, self.heads, f"--{part}hidden-size", f"--{part}heads")

    def unused_options(self, part: str) -> dict[str, str]:
        """Return the settings without effect and the reasons; `part` prefixes their names."""
        names = _TEXT_SIZES if self.bert is not None else ()
        return {f"{part}{name}": f"with --{part}bert" for name in names}


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
        """Check the settings, see `TextConfig.check`."""
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
    """Check the shorter and the longer side of images."""
    short, long = size
    if not 0 < short <= long:
        raise UserError(f"{flag} {short} {long}: give the shorter side first, both above 0")


def check_heads(width: int, heads: int, width_flag: str, heads_flag: str) -> None:
    """Check that a width can be divided among attention heads."""
    if width % heads:
        raise UserError(
            f"{width_flag} {width} is not divisible by {heads_flag} {heads}; change one of them"
        )

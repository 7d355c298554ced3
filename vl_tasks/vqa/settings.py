"""Settings of visual question answering."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from clipnav.training.settings import check_numbers
from clipnav.vl_tasks.clip_vil_p.settings import PretrainVlConfig
from clipnav.vl_tasks.settings.networks import TextConfig, TrunkConfig, check_image_size
from clipnav.vl_tasks.settings.runs import QuestionConfig, check_codes
from clipnav.vl_tasks.specs import Flag, chosen_preset


@dataclass(frozen=True)
class MultilingualConfig:
    """A new network of --model multilingual, if there is no pre-trained one (--start-from)."""

    text: TextConfig = field(default_factory=TextConfig)
    """Transformer and word pieces."""
    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    """Visual trunk."""
    image_size: tuple[int, int] = (224, 224)
    """Shorter and longer side in pixels of the images: they are resized to fit, and padded. With
    --faithful, the shorter side is resized, and the centre is cut out."""

    def __post_init__(self) -> None:
        self.text.check("multilingual.text.")
        self.trunk.check("multilingual.trunk.")
        check_image_size(self.image_size, "--multilingual.image-size")


@dataclass(frozen=True)
class VqaConfig(QuestionConfig):
    """Settings of a visual question answering training."""

    COMMAND: ClassVar[str] = "clipnav finetune-vqa"
    TASK: ClassVar[str] = "vqa"
    PRESETS: ClassVar[tuple[str, ...]] = (
        *("houses", "easy-vqa", "small", "pythia-clip-vil", "movie-mcan-clip-vil"),
        *("mcan-small", "mcan-large", "mcan-small-grid", "mcan-large-grid"),
        *("houses-clip-vil-p", "small-clip-vil-p", "clip-vil-p"),
        *("houses-multilingual", "small-multilingual", "easy-vqa-multilingual", "multilingual"),
    )
    REGIONS_IN_ROWS: ClassVar[bool] = False
    MAY_CHANGE: ClassVar[frozenset[str]] = QuestionConfig.MAY_CHANGE | {
        "variant",
        "evaluation_languages",
    }

    faithful: bool = False
    """Exact computation of the published code: Pythia and MoVie+MCAN attend to padding, MCAN uses
    openvqa's layer normalisation, multilingual learns one answer per question and, without
    --start-from, has one position for all visual tokens."""
    variant: Literal["V0", "V1", "V2", "V3"] = "V2"
    """Variant of the official VQA evaluator, see docs/vl_tasks.md."""
    languages: tuple[str, ...] = ("en",)
    """Languages of the training questions of --model multilingual, such as en fr de es hi te."""
    evaluation_languages: tuple[str, ...] | None = None
    """Languages of the evaluation of --model multilingual; default: those of --languages."""
    agreement: float = 0.0
    """Weight of the agreement of the languages (--model multilingual): the logits of a question are
    also drawn to its mean logits over the languages, which then follow each other in a batch."""
    multilingual: MultilingualConfig = field(default_factory=MultilingualConfig)
    """New network of --model multilingual, without --start-from."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_codes(self.languages, "--languages")
        if self.evaluation_languages is not None:
            check_codes(self.evaluation_languages, "--evaluation-languages")
        check_numbers(self, ("agreement",))

    @property
    def is_exclusive(self) -> bool:
        """Whether the loss is cross-entropy, for which exactly one answer is correct."""
        return self.model == "multilingual" and self.faithful

    @property
    def asked_languages(self) -> tuple[str, ...]:
        """Languages of the evaluation."""
        return self.evaluation_languages or self.languages

    @property
    def scoring(self) -> dict[str, Any]:
        """Settings that determine the score by which the best checkpoint is selected."""
        if self.model != "multilingual":
            return {"variant": self.variant}
        return {"variant": self.variant, "evaluation_languages": self.asked_languages}

    @property
    def data_languages(self) -> tuple[str, ...]:
        """Languages that the data must have."""
        return tuple(dict.fromkeys(self.languages + self.asked_languages))

    def new_base(self) -> PretrainVlConfig:
        """Return the settings of a new multilingual network, in the form of a pre-training."""
        chosen = self.multilingual
        return PretrainVlConfig(
            preset=self.preset,
            data=self.data,
            model="multilingual",
            objective="masked-words",
            languages=self.languages,
            text=chosen.text,
            trunk=chosen.trunk,
            image_size=chosen.image_size,
            faithful=self.faithful,
            max_words=self.clip_vil_p.max_words,
            batch_size=self.batch_size,
        )

    @property
    def task(self) -> str:
        """Name of the row of the table of tasks."""
        return "multilingual-vqa" if self.model == "multilingual" else "vqa"

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `TrainingConfig`."""
        unused = super().unused_options()
        names = ("languages", "evaluation_languages", "agreement", "multilingual")
        if self.model != "multilingual":
            return unused | dict.fromkeys(names, f"with --model {self.model}")
        del unused["faithful"]
        for name, flag in (("frozen", "frozen-trunk"), ("frozen_norms", "frozen-norms")):
            unused[f"multilingual.trunk.{name}"] = f"where --clip-vil-p.{flag} decides"
        if self.clip_vil_p.dropout is not None:
            unused["multilingual.text.dropout"] = "with --clip-vil-p.dropout, which replaces it"
        if self.faithful:
            unused |= dict.fromkeys(("agreement", "clip_vil_p.loss_scale"), "with --faithful")
        elif len(self.languages) < 2:
            unused["agreement"] = "with questions in one of --languages"
        elif self.agreement:
            reason = "with --agreement, which groups by question"
            unused["clip_vil_p.sentences_per_image"] = reason
        if self.start_from is not None:
            unused["multilingual"] = "with --start-from, whose run has its own networks"
        return unused | self.multilingual.text.unused_options("multilingual.text.")


def vqa_defaults(flag: Flag) -> VqaConfig:
    """Return the settings of clipnav finetune-vqa without flags, for all of its models."""
    return chosen_preset(VqaConfig, flag, "fine-tuned", "vqa")

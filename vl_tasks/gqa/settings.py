"""Settings of GQA."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from clipnav.vl_tasks.settings.runs import QuestionConfig
from clipnav.vl_tasks.specs import Flag, chosen_preset


@dataclass(frozen=True)
class GqaConfig(QuestionConfig):
    """Settings of a GQA training."""

    COMMAND: ClassVar[str] = "clipnav finetune-gqa"
    TASK: ClassVar[str] = "gqa"
    PRESETS: ClassVar[tuple[str, ...]] = (
        *("houses", "small", "mcan-small", "mcan-large", "mcan-small-grid", "mcan-large-grid"),
        *("houses-clip-vil-p", "small-clip-vil-p", "clip-vil-p"),
    )
    MAY_CHANGE: ClassVar[frozenset[str]] = QuestionConfig.MAY_CHANGE | {"consistency"}

    model: Literal["pythia", "mcan", "movie-mcan", "clip-vil-p"] = "mcan"
    """Architecture of the model."""
    loss: Literal["ce", "bce"] = "ce"
    """Loss: ce (cross-entropy, as in openvqa) or bce (binary cross-entropy, as in CLIP-ViL_p)."""
    faithful: bool = False
    """Exact computation of the published code: Pythia and MoVie+MCAN attend to padding, MCAN uses
    openvqa's layer normalisation, clip-vil-p with --loss ce multiplies the loss by the number of
    answers, and then by --clip-vil-p.loss-scale or again by the number of answers."""
    consistency: bool = True
    """Consistency among the final scores, for splits with a file of all questions: the entailed
    questions are answered, too."""

    @property
    def is_exclusive(self) -> bool:
        """Whether the loss is cross-entropy, for which exactly one answer is correct."""
        return self.loss == "ce"

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `TrainingConfig`."""
        unused = super().unused_options()
        if self.model == "clip-vil-p" and self.loss == "ce":
            del unused["faithful"]
        return unused


def gqa_defaults(flag: Flag) -> GqaConfig:
    """Return the settings without flags."""
    return chosen_preset(GqaConfig, flag, "fine-tuned", "gqa")

"""Settings of the fine-tuning of a vision-language model, and their command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.storage.errors import UserError
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.resuming import parse_run
from clipnav.training.run_settings import TrainingConfig
from clipnav.training.settings import check_counts, check_dropout, check_numbers

# The recipe of LoRA fine-tunings of LLaVA and Qwen-VL: AdamW, cosine, a short warm-up.
_OPTIMISER = OptimiserConfig(
    name="adamw", learning_rate=1e-4, schedule="cosine", warmup=30, clip="norm", clip_at=1.0
)


@dataclass(frozen=True)
class FinetuneVlmConfig(TrainingConfig):
    """Model, data and optimisation of a fine-tuning."""

    COMMAND: ClassVar[str] = "clipnav finetune-vlm"
    MAY_CHANGE: ClassVar = frozenset(
        "resume iterations minutes evaluate_every threads device track".split()
    )
    COMMON: ClassVar[tuple[str, ...]] = tuple(
        "data model validation lora_rank iterations minutes batch_size optimiser.learning_rate "
        "precision seed output resume device".split()
    )

    data: Path | None = None
    """Export of clipnav export-demonstrations --format messages."""
    model: str | None = None
    """Name or folder of a transformers image-text-to-text model with a chat template."""
    validation: Path | None = None
    """Export of another split, in the same format, whose answers select the best weights; without
    it the latest weights are kept."""
    lora_rank: int = 16
    """Rank of the low-rank adapters; 0 trains all weights instead."""
    lora_alpha: float = 32.0
    """Scale of the adapters, divided by their rank."""
    lora_dropout: float = 0.05
    """Dropout before the adapters."""
    tune_vision: bool = False
    """Adapt the vision tower, too."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass, which saves memory."""
    batch_size: int = 16
    """Number of records of a weight update; each passes through the model by itself."""
    iterations: int = 1000
    evaluate_every: int = 200
    resume: Path | None = None
    """Folder of a run to resume, with its settings. Only --iterations, --minutes, --evaluate-every,
    --track, --threads and --device may change."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Precision of the frozen weights; bf16 halves the memory. Adapters are fp32."""
    optimiser: OptimiserConfig = _OPTIMISER

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("lora_rank",), least=0)
        check_numbers(self, ("lora_alpha",))
        check_dropout(self, ("lora_dropout",))
        if not self.lora_rank and self.precision == "bf16":
            raise UserError(
                "--precision bf16 with --lora-rank 0: weights that are trained require fp32; use "
                "adapters (--lora-rank 16)"
            )

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return f"finetuned-{Path(self.model or 'model').name}"

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `TrainingConfig`."""
        unused = super().unused_options()
        if not self.lora_rank:
            names = ("lora_alpha", "lora_dropout", "tune_vision")
            unused |= dict.fromkeys(names, "with --lora-rank 0, which trains all weights")
        return unused


def parse_finetuning(arguments: Sequence[str], description: str | None = None) -> FinetuneVlmConfig:
    """Return the settings of a fine-tuning from its command line."""
    config = parse_run(
        FinetuneVlmConfig,
        arguments,
        description,
        defaults=FinetuneVlmConfig,
        idle=FinetuneVlmConfig.unused_options,
        may_change=FinetuneVlmConfig.MAY_CHANGE,
    )
    for name in ("data", "model"):
        if getattr(config, name) is None:
            raise UserError(
                f"--{name} is missing; give an export of clipnav export-demonstrations --format "
                "messages with --data, and a model with --model"
            )
    return config

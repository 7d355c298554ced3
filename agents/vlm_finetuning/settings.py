"""Settings of the fine-tuning of a vision-language model, and their command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.storage.errors import UserError
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.resuming import parse_run
from clipnav.training.settings import (
    check_counts,
    check_dropout,
    check_numbers,
    check_positive,
    idle_training_settings,
)
from clipnav.training.tracking import TrackerName

# The recipe of LoRA fine-tunings of LLaVA and Qwen-VL: AdamW, cosine, a short warm-up.
_OPTIMISER = OptimiserConfig(
    name="adamw", learning_rate=1e-4, schedule="cosine", warmup=30, clip="norm", clip_at=1.0
)
# Settings that may change when a run is resumed; any other change would make it another run.
_MAY_CHANGE = frozenset("resume iterations minutes evaluate_every threads device track".split())


@dataclass(frozen=True)
class FinetuneVlmConfig:
    """Model, data and optimisation of a fine-tuning."""

    COMMAND: ClassVar[str] = "clipnav finetune-vlm"

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
    """Number of weight updates."""
    minutes: float | None = None
    """Training time in minutes, evaluation excluded; replaces --iterations."""
    evaluate_every: int = 200
    """Number of iterations between two evaluations, each followed by a checkpoint."""
    seed: int = 0
    """Random seed for adapters, data order and dropout."""
    output: Path | None = None
    """Folder of the run; by default a folder in runs/ named after the model."""
    track: tuple[TrackerName, ...] = ()
    """Trackers that receive the figures of the log: tensorboard, wandb or trackio."""
    config: Path | None = None
    """Settings file, such as the config.json of a run; its values are the defaults of all other
    flags."""
    resume: Path | None = None
    """Folder of a run to resume, with its settings; only --iterations, --minutes, --evaluate-every,
    --track, --threads and --device may change."""
    threads: int | None = None
    """Number of CPU threads of torch; torch's default if not given."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Precision of the frozen weights; bf16 halves the memory. Adapters are fp32."""
    device: str = "cpu"
    """Device of the model: cpu, cuda, cuda:1, ..."""
    optimiser: OptimiserConfig = _OPTIMISER

    def __post_init__(self) -> None:
        check_counts(self, ("batch_size", "iterations", "evaluate_every", "threads"))
        check_counts(self, ("lora_rank", "seed"), least=0)
        check_numbers(self, ("lora_alpha",))
        check_dropout(self, ("lora_dropout",))
        check_positive(self, ("minutes",))
        if not self.lora_rank and self.precision == "bf16":
            raise UserError(
                "--precision bf16 with --lora-rank 0: weights that are trained require fp32; use "
                "adapters (--lora-rank 16)"
            )

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return f"finetuned-{Path(self.model or 'model').name}"


def parse_finetuning(arguments: Sequence[str], description: str | None = None) -> FinetuneVlmConfig:
    """Return the settings of a fine-tuning from its command line.

    Raises:
        FileNotFoundError: --resume does not name a run.
        UserError: A flag is missing, contradicts the run to resume, or has no effect.
    """
    config = parse_run(
        FinetuneVlmConfig,
        arguments,
        description,
        defaults=FinetuneVlmConfig,
        idle=_idle,
        may_change=_MAY_CHANGE,
    )
    for name in ("data", "model"):
        if getattr(config, name) is None:
            raise UserError(
                f"--{name} is missing; give an export of clipnav export-demonstrations --format "
                "messages with --data, and a model with --model"
            )
    return config


def _idle(config: FinetuneVlmConfig) -> dict[str, str]:
    idle = idle_training_settings(config)
    if not config.lora_rank:
        names = ("lora_alpha", "lora_dropout", "tune_vision")
        idle |= dict.fromkeys(names, "with --lora-rank 0, which trains all weights")
    return idle

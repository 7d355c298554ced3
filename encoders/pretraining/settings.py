"""Settings of the pre-training of the house CLIP; this module does not import torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.storage.errors import UserError
from clipnav.training.log import TrackerName
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.resuming import early_values, parse_run
from clipnav.training.settings import (
    check_counts,
    check_positive,
    idle_training_settings,
    read_config,
)

Labels = Literal["all", "largest"]

_WARMUP_SHARE = 0.05  # of the iterations
_ITERATIONS = 10_000
_STRIDE = 32  # pixels of a cell of the ResNet's last feature map
_LABEL_SETTINGS = ("labels", "labelled_fraction")
# Settings that may change when a run is resumed; any other change would make it another run.
_MAY_CHANGE = frozenset("resume export iterations minutes save_every workers threads track".split())


def default_optimiser(iterations: int = _ITERATIONS) -> OptimiserConfig:
    """Return the optimiser of a run with a number of iterations, which determines the warm-up."""
    return OptimiserConfig(
        name="adamw",
        learning_rate=1e-3,
        betas=(0.9, 0.98),
        weight_decay=0.05,
        schedule="open_clip",
        warmup=max(1, round(_WARMUP_SHARE * iterations)),
        clip="norm",
        clip_at=1.0,
    )


@dataclass(frozen=True)
class PretrainEncoderConfig:
    """Pre-train a CLIP on views of houses."""

    COMMAND: ClassVar[str] = "clipnav pretrain-house-clip"
    COMMON: ClassVar[tuple[str, ...]] = tuple(
        "set objective iterations minutes batch_size houses image_size visual_layers precision "
        "optimiser.learning_rate seed output resume export workers threads".split()
    )

    set: Literal["gallery", "mini", "standard"] = "gallery"
    """House set of the views: houses that are used for pre-training only (gallery), or the training
    houses of agents. An encoder that was trained on the latter works better in them than in unseen
    houses, which can mislead agents."""
    objective: Literal["contrastive", "supervised", "random"] = "contrastive"
    """Objective of the image tower: contrastive on views and captions, as in CLIP; supervised by
    the room type and the visible objects; or random weights without training, as a control. All
    three start from the same weights, and the first two see the same views. Without captions the
    text tower is not trained: such a model encodes images only."""
    labels: Labels = "all"
    """Labels of a view for the objective supervised: its room type and all visible objects (all),
    or one label, its largest object (largest), which is the supervision that ImageNet contains."""
    labelled_fraction: float = 1.0
    """Share of the training views that have labels, for the objective supervised; the other views
    are not used. A run with half of the views passes over them twice, so the number of updates does
    not change. From the second pass on, views are mirrored and tinted again at random. The views of
    a smaller share are among those of a larger one."""
    optimiser: OptimiserConfig = field(default_factory=default_optimiser)
    """Optimiser, learning rate schedule and gradient clipping; biases, norms and embeddings have no
    weight decay. The default warm-up is 5 % of --iterations."""
    iterations: int = _ITERATIONS
    """Number of weight updates."""
    minutes: float | None = None
    """Training time in minutes, as the stopping criterion instead of --iterations."""
    batch_size: int = 64
    """Number of views in a weight update. For a fixed number of views, smaller batches give more
    updates and learn more."""
    save_every: int = 250
    """Number of iterations between two saved states."""
    output: Path | None = None
    """Folder of the run; by default a folder in runs/ that is named after set and objective."""
    track: tuple[TrackerName, ...] = ()
    """Trackers that receive the figures of the log: tensorboard (into the run's folder), wandb or
    trackio; each requires the extra of its name."""
    config: Path | None = None
    """Settings file, such as the config.json of a run; its values are the defaults of all other
    flags."""
    resume: Path | None = None
    """Folder of a run to resume, with its settings. Only --export, --iterations, --minutes,
    --save-every, --workers, --track and --threads may change."""
    export: Path | None = None
    """Folder of open_clip_config.json and open_clip_model.safetensors; by default a folder in the
    run that is named after set and objective."""
    initial: Path | None = None
    """Folder of a model of this command whose weights the training starts from; random weights by
    default. Its --image-size may be smaller: as CLIP's largest model was, the encoder is trained on
    small images first, and on large ones in the end (CLIP section 3.2)."""
    seed: int = 0
    """Random seed for weights, views and captions."""
    houses: int | None = None
    """Number of training houses to use, including held-out ones; all by default."""
    held_out: int = 8
    """Number of these houses that are held out for scoring."""
    viewpoints: int = 40
    """Maximum number of viewpoints per house of which panoramas are rendered, drawn at random."""
    extra_positions: int = 8
    """Number of panoramas per house that are rendered between viewpoints, besides those at
    viewpoints."""
    panorama_width: int = 768
    """Columns of the panoramas. A view of 60 degrees covers a sixth of them."""
    image_size: int = 128
    """Side of the model's input in pixels; a multiple of 32."""
    visual_width: int = 16
    """Channels after the stem of the ResNet, an even number; its last feature map has 32 times as
    many."""
    visual_layers: tuple[int, int, int, int] = (1, 1, 1, 1)
    """Number of blocks in each stage of the ResNet."""
    embed_dim: int = 128
    """Width of pooled features."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Precision of the towers; bf16 is nearly twice as fast on CPUs that multiply it in
    hardware."""
    workers: int = 2
    """Number of rendering processes."""
    threads: int | None = None
    """Number of CPU threads of torch; torch's default if not given."""

    def __post_init__(self) -> None:
        sizes = ("panorama_width", "image_size", "visual_width", "embed_dim")
        counts = ("iterations", "batch_size", "houses", "viewpoints", "save_every")
        counts += ("workers", "threads")
        check_counts(self, (*counts, *sizes))
        check_counts(self, ("extra_positions", "seed"), least=0)
        check_positive(self, ("minutes",))
        self._check_network()
        if not 0 < self.labelled_fraction <= 1:
            raise UserError(
                f"--labelled-fraction {self.labelled_fraction:g}: must be greater than 0 and at "
                "most 1"
            )
        if self.labelled_fraction < 1 and self.minutes is not None:
            raise UserError(
                "--labelled-fraction and --minutes exclude each other, because the number of views "
                "is unknown until the end of the run; give --iterations"
            )

    def _check_network(self) -> None:
        """Check that the image tower can be built and loaded, before houses are rendered."""
        if self.image_size % _STRIDE:
            raise UserError(f"--image-size {self.image_size}: must be a multiple of {_STRIDE}")
        # open_clip divides 32 * width channels of the last feature map into width // 2 heads.
        heads = self.visual_width // 2
        if heads < 1 or _STRIDE * self.visual_width % heads:
            raise UserError(
                f"--visual-width {self.visual_width}: must be an even number, because the channels "
                "of the last feature map are divided into heads"
            )
        if min(self.visual_layers) < 1:
            layers = " ".join(map(str, self.visual_layers))
            raise UserError(f"--visual-layers {layers}: each stage must have at least 1 block")

    @property
    def run_name(self) -> str:
        """Default name of the run, and name of the model, from objective, labels and set."""
        parts = ["clip" if self.objective == "contrastive" else self.objective]
        if self.labels != "all":
            parts.append(self.labels)
        if self.labelled_fraction < 1:
            parts.append(f"{100 * self.labelled_fraction:g}pct")
        if self.set != "gallery":
            parts.append(self.set)
        return "_".join(["house", *parts])

    @property
    def labelled_batches(self) -> int | None:
        """Number of batches with labels, which later iterations repeat; None for all views."""
        if self.labelled_fraction == 1:
            return None
        return max(1, round(self.labelled_fraction * self.iterations))

    @property
    def evaluate_every(self) -> int:
        """Number of iterations between two saved states."""
        return self.save_every

    def model_dir(self, run: Path) -> Path:
        """Return the folder of the exported model of a run."""
        return self.export or run / self.run_name


def _idle_settings(config: PretrainEncoderConfig) -> dict[str, str]:
    """Return the names of settings that other settings make ineffective, and why."""
    if config.objective == "random":
        names = ("iterations", "minutes", "save_every", *_LABEL_SETTINGS)
        return dict.fromkeys(names, "with --objective random, which does not train")
    idle = idle_training_settings(config)
    if config.objective != "supervised":
        reason = f"with --objective {config.objective}, which does not use labels"
        idle |= dict.fromkeys(_LABEL_SETTINGS, reason)
    return idle


def parse_pretraining(
    arguments: Sequence[str], description: str | None = None
) -> PretrainEncoderConfig:
    """Return the settings of a pre-training from its command line.

    --iterations determines the default of --optimiser.warmup. --config takes all defaults from a
    file, --resume from the run that it names.
    """

    def defaults() -> PretrainEncoderConfig:
        iterations = early_values(arguments).get("iterations", "")
        if not iterations.isdecimal():
            return PretrainEncoderConfig()
        return PretrainEncoderConfig(optimiser=default_optimiser(int(iterations)))

    resumed, may_change = early_values(arguments).get("resume"), _MAY_CHANGE
    if (
        resumed is not None
        and read_config(Path(resumed), PretrainEncoderConfig).labelled_fraction != 1
    ):
        may_change -= {"iterations"}  # their number determines which views have labels
    return parse_run(
        PretrainEncoderConfig,
        arguments,
        description,
        defaults=defaults,
        idle=_idle_settings,
        may_change=may_change,
    )

"""Arguments of the command that pre-trains the house CLIP."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.settings import check_counts

# Settings that may differ when a run is resumed; any other change would be another training.
MAY_CHANGE = frozenset({"output", "run_dir", "save_every", "workers", "threads"})
_SHIPPED = Path(__file__).parents[1] / "house_clip"


@dataclass(frozen=True)
class PretrainArguments:
    """Pre-train a CLIP on views of houses."""

    set: Literal["gallery", "mini", "standard"] = "gallery"
    """House set of the views: houses that are used for pre-training only (gallery), or the training
    houses of agents. An encoder that was trained on the latter works better in them than in unseen
    houses, which can mislead agents."""
    objective: Literal["contrastive", "supervised", "random"] = "contrastive"
    """Objective of the image tower: contrastive on views and captions, as in CLIP; supervised by
    the room type and the visible objects; or random weights without training, as a control. All
    three start from the same weights, and the first two see the same views. Without captions the
    text tower is not trained: such a model encodes images only."""
    output: Path | None = None
    """Folder of open_clip_config.json and open_clip_model.safetensors; by default
    encoders/house_clip for contrastive on the gallery, and a folder in the run otherwise."""
    run_dir: Path | None = None
    """Folder of settings, training state, metrics.jsonl and TensorBoard events; by default a folder
    in runs/ that is named after set and objective."""
    seed: int = 0
    """Random seed for weights, views and captions."""
    samples: int = 640_000
    """Number of training views."""
    batch: int = 64
    """Number of views in a gradient step. For a fixed number of views, smaller batches give more
    steps and learn more."""
    learning_rate: float = 1e-3
    """Peak learning rate."""
    houses: int | None = None
    """Number of training houses to use, including held-out ones; all by default."""
    held_out: int = 8
    """Number of these houses that are held out for scoring."""
    extra_positions: int = 8
    """Number of panoramas per house that are rendered between viewpoints, besides those at
    viewpoints."""
    panorama_width: int = 768
    """Columns of the panoramas. A view of 60 degrees covers a sixth of them."""
    image_size: int = 128
    """Side of the model's input in pixels; a multiple of 32."""
    visual_width: int = 16
    """Channels after the stem of the ResNet; its last feature map has 32 times as many."""
    visual_layers: tuple[int, int, int, int] = (1, 1, 1, 1)
    """Number of blocks in each stage of the ResNet."""
    embed_dim: int = 128
    """Width of pooled features."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Precision of the towers; bf16 is nearly twice as fast on CPUs that multiply it in
    hardware."""
    save_every: int = 250
    """Number of steps between two saved states."""
    workers: int = 2
    """Number of rendering processes."""
    threads: int = 0
    """Number of training threads; torch's default if 0."""

    def __post_init__(self) -> None:
        sizes = ("panorama_width", "image_size", "visual_width", "embed_dim")
        check_counts(self, ("samples", "batch", "houses", "save_every", "workers", *sizes))
        check_counts(self, ("extra_positions", "threads"), least=0)

    @property
    def name(self) -> str:
        """Name of the model, from objective and set."""
        kind = "clip" if self.objective == "contrastive" else self.objective
        return f"house_{kind}" + ("" if self.set == "gallery" else f"_{self.set}")

    @property
    def run(self) -> Path:
        """Folder of the run."""
        return self.run_dir or Path("runs") / self.name

    @property
    def model_dir(self) -> Path:
        """Folder of the exported model."""
        return self.output or (_SHIPPED if self.name == _SHIPPED.name else self.run / self.name)

    @property
    def outputs(self) -> list[Path]:
        """Folders that the command writes."""
        return [self.model_dir] if self.objective == "random" else [self.run, self.model_dir]

    @property
    def steps(self) -> int:
        """Number of gradient steps."""
        return max(1, self.samples // self.batch)

"""Settings of the agents: frozen dataclasses whose field docstrings are the command line's help.

Nothing here imports torch, so that ``--help`` answers at once.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

CONFIG = "config.json"  # within the folder of a run

Dataset = Literal["r2r", "rxr"]
World = Literal["houses", "matterport"]
Feedback = Literal["teacher", "sample", "mixed"]


@dataclass(frozen=True)
class FollowerConfig:
    """Sizes and noise of the follower."""

    embedding_size: int = 256
    """Width of a word embedding."""
    hidden_size: int = 512
    """Width of the decoder state and of an encoded word (half of it per reading direction)."""
    action_size: int = 64
    """Width of the embedded heading and elevation of the agent."""
    dropout: float = 0.5
    """Dropout on embeddings, encoded words and decoder states."""
    standardise: bool = True
    """Bring visual features to mean 0 and spread 1 over the training scans (the reference: no)."""
    feature_dropout: float = 0.3
    """Dropout on visual features; the angle part is never dropped."""
    feature_dropout_kind: Literal["episode", "step", "element"] = "episode"
    """What shares a mask: an episode, a step of it, or nothing (the reference's way, and slow)."""


@dataclass(frozen=True)
class OptimiserConfig:
    """How weights follow gradients."""

    name: Literal["rmsprop", "adam"] = "rmsprop"
    """Update rule."""
    learning_rate: float = 1e-4
    """Step size at its highest."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate over the run; cosine ends at zero with the run."""
    warmup: int = 0
    """Iterations of linear growth up to the learning rate."""
    weight_decay: float = 0.0
    """Decoupled weight decay (adam only)."""
    clip_norm: float = 40.0
    """Largest gradient norm, of encoder and of decoder each."""


@dataclass(frozen=True)
class TrainConfig:
    """Train a follower by imitation, then compare it with the baselines.

    Two data sets (r2r, rxr) in two worlds (the built-in houses, Matterport3D); each choice brings
    its own defaults for everything below.
    """

    dataset: Dataset = "r2r"
    """Instructions to follow; read first, for it changes other defaults."""
    world: World = "houses"
    """Buildings to walk in; read first as well."""
    data_dir: Path | None = None
    """Folder with matterport/ and r2r/ or rxr/ (needed by --world matterport)."""
    features: Path | None = None
    """Feature store in place of the world's own."""
    vision: bool = True
    """Look at the pictures; without, views are told apart by their angle alone."""
    language: bool = True
    """Read the instruction; without, every instruction is empty."""
    spoken: str | None = None
    """Only instructions in this language (rxr: en, hi or te); all by default."""
    max_instruction_length: int = 80
    """Tokens of an instruction that are read."""
    max_episode_steps: int | None = None
    """Steps after which an episode is cut off; the environment's own limit by default."""
    angle_feature_size: int = 128
    """Width of the angle part of a view."""
    feedback: Feedback = "teacher"
    """Who walks in training: the teacher, the follower by sampling, or each half of the batch."""
    max_training_steps: int | None = None
    """Steps after which a training episode is cut off, if earlier; lost followers wander long."""
    batch_size: int = 64
    """Episodes per iteration."""
    bucket: int = 16
    """Batches among which instructions are sorted by length, to save padding; 1 turns it off."""
    iterations: int = 80_000
    """Weight updates of the run."""
    minutes: float | None = None
    """End after this much training time, evaluation not counted, and not after --iterations."""
    evaluate_every: int = 500
    """Iterations between two evaluations (and checkpoints)."""
    evaluation_splits: tuple[str, ...] = ("val_seen", "val_unseen")
    """Splits to evaluate on."""
    select_by: str = "val_unseen"
    """Split whose SPL says which weights are kept as the best."""
    seed: int = 0
    """Seed of weights, order of episodes, dropout and sampling."""
    output: Path | None = None
    """Folder of the run; runs/<dataset>-<world>[-no-vision][-no-language] by default."""
    resume: Path | None = None
    """Go on with the run in this folder, with its settings."""
    threads: int | None = None
    """Processor threads of torch; its own choice by default."""
    matmul_precision: Literal["highest", "high", "medium"] = "highest"
    """torch.set_float32_matmul_precision."""
    device: str = "cpu"
    """Where the follower computes: cpu, cuda, cuda:1, ..."""
    follower: FollowerConfig = field(default_factory=FollowerConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)

    def __post_init__(self) -> None:
        for name in ("batch_size", "bucket", "iterations", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 1")
        if self.select_by not in self.evaluation_splits:
            raise ValueError(
                f"--select-by {self.select_by} is not among --evaluation-splits "
                f"{' '.join(self.evaluation_splits)}"
            )

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        name = f"{self.dataset}-{self.world}"
        name += "" if self.vision else "-no-vision"
        return name + ("" if self.language else "-no-language")


# Published settings (CLIP-ViL's scripts): RMSprop 1e-4 without a schedule, batches of 64.
PRESETS: dict[str, TrainConfig] = {
    "r2r": TrainConfig(dataset="r2r"),
    "rxr": TrainConfig(
        dataset="rxr", max_instruction_length=160, iterations=200_000, evaluate_every=1_000
    ),
}

# The built-in houses have a few thousand paths and a few hundred words: half the width and a step
# twenty times as long learn them in minutes on two cores.
_HOUSES = {
    "world": "houses",
    "iterations": 3_000,
    "evaluate_every": 500,
    "max_episode_steps": 20,
    "follower": FollowerConfig(embedding_size=128, hidden_size=256, action_size=32),
    "optimiser": OptimiserConfig(
        name="adam", learning_rate=2e-3, schedule="cosine", warmup=50, clip_norm=5.0
    ),
}


def preset(dataset: Dataset, world: World) -> TrainConfig:
    """Default settings for a data set in a world."""
    config = PRESETS[dataset]
    if world == "houses":
        return dataclasses.replace(config, **_HOUSES)
    return dataclasses.replace(config, world=world)


def to_json(config: TrainConfig) -> str:
    """Settings as JSON text; `read_config` reads it back."""
    return json.dumps(dataclasses.asdict(config), indent=2, default=str) + "\n"


def read_config(run: Path) -> TrainConfig:
    """Settings of a run from its folder.

    Raises:
        FileNotFoundError: The folder is no run.
        ValueError: The file is damaged or from another version; names file and setting.
    """
    path = run / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; name a folder that train_agent.py wrote")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error}); train the run anew") from error
    for name, part in (("follower", FollowerConfig), ("optimiser", OptimiserConfig)):
        values[name] = _build(part, values.get(name, {}), f"{path}: {name}")
    for name in ("data_dir", "features", "output", "resume"):
        values[name] = None if values.get(name) is None else Path(values[name])
    values["evaluation_splits"] = tuple(values.get("evaluation_splits", ()))
    return _build(TrainConfig, values, str(path))


def _build(kind: type, values: dict[str, Any], source: str) -> Any:
    known = {item.name for item in dataclasses.fields(kind)}
    if values.keys() != known:
        odd = sorted(values.keys() ^ known)
        raise ValueError(
            f"{source}: missing or unknown settings {', '.join(odd)}; "
            "the run was made by another version of clipnav: train it anew"
        )
    return kind(**values)


def differences(one: TrainConfig, other: TrainConfig, ignore: frozenset[str]) -> list[str]:
    """Settings in which two configurations differ, as "name: value against value"."""
    left, right = _flat(dataclasses.asdict(one)), _flat(dataclasses.asdict(other))
    return [
        f"{name}: {left[name]} against {right[name]}"
        for name in left
        if name.split(".")[0] not in ignore and left[name] != right[name]
    ]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat

"""Settings of the waypoint predictor, and of agents of the graphs in continuous episodes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import tyro

from clipnav.envs.worlds import World, is_built_in
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_outputs
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.resuming import parse_run
from clipnav.training.run_settings import TrainingConfig
from clipnav.training.settings import check_counts, check_dropout, check_splits

Suppression = Literal["circular", "published"]
TargetRule = Literal["intended", "published"]


@dataclass(frozen=True)
class WaypointConfig:
    """Run, task and number of episodes."""

    run: tyro.conf.Positional[Path]
    """Folder of a run of clipnav train-agent, a follower, frontier agent or map agent, trained in
    built-in houses."""
    splits: tuple[str, ...] = ("val_unseen",)
    """Splits to evaluate: val_seen, val_unseen, ..."""
    episodes: int | None = None
    """Number of episodes of a split, spread over it; all if not given."""
    encoder: str = "house_clip"
    """Encoder of the run's features, which encodes the views of the continuous walks: house_clip, a
    folder in open_clip's local-dir format, or an open_clip name with its weights (RN50:openai)."""
    waypoints: Literal["floor", "predicted"] = "floor"
    """Places among which the agent chooses: computed from the floor, or predicted from pictures by
    --predictor."""
    predictor: Path | None = None
    """Folder of a run of clipnav train-waypoint-predictor or convert-waypoint-predictor."""
    sliding: bool | None = None
    """Whether the agent slides along obstacles; that of the task by default."""
    batch_size: int = 16
    """Number of episodes in a batch."""
    json: Path | None = None
    """File for the scores of the table."""
    threads: int | None = None
    """Number of CPU threads of torch; torch's default if not given."""

    def __post_init__(self) -> None:
        check_counts(self, ("episodes", "batch_size", "threads"))
        check_splits(self, ("splits",))
        if (self.waypoints == "predicted") != (self.predictor is not None):
            raise UserError(
                f"--waypoints {self.waypoints}: give --predictor with --waypoints predicted, and "
                "only then"
            )
        check_outputs(self, {"json": (".json",)})


@dataclass(frozen=True)
class PredictorNetworkConfig:
    """Sizes of the waypoint predictor; the published ones are 768, 12, 3072 and 2."""

    hidden_size: int = 128
    """Width of the tokens of the views."""
    heads: int = 4
    """Number of attention heads."""
    feed_forward_size: int = 256
    """Width of the hidden layer of the feed-forward networks."""
    layers: int = 2
    """Number of transformer layers."""
    dropout: float = 0.1
    """Dropout rate of attention weights and layer outputs."""
    depth_channels: int = 32
    """Channels of each of the 16 cells that the depth network returns, without --depth-weights."""

    def __post_init__(self) -> None:
        sizes = ("hidden_size", "heads", "feed_forward_size", "layers", "depth_channels")
        check_counts(self, sizes, "network.")
        check_dropout(self, ("dropout",), "network.")
        if self.hidden_size % self.heads:
            raise UserError(
                f"--network.hidden-size {self.hidden_size}: must be divisible by --network.heads "
                f"{self.heads}"
            )


@dataclass(frozen=True)
class PredictorConfig(TrainingConfig):
    """Settings of the training of a waypoint predictor."""

    COMMAND: ClassVar = "clipnav train-waypoint-predictor"
    MAY_CHANGE: ClassVar = frozenset("resume minutes evaluate_every threads device track".split())
    COMMON: ClassVar = (
        *("world", "depth_weights", "panoramas", "suppression", "iterations", "minutes"),
        *("batch_size", "optimiser.learning_rate", "seed", "output", "resume", "device"),
    )

    world: World = "houses"
    """Set of built-in houses: houses or houses-standard."""
    depth_weights: Path | None = None
    """Checkpoint of DD-PPO (gibson-2plus-resnet50.pth), whose depth network is then used, frozen;
    by default a small network is trained with the predictor."""
    depth_pixels: int = 64
    """Height and width of the depth pictures of the small network; a multiple of 16. DD-PPO's has
    256."""
    panoramas: int = 4
    """Number of panoramas of each training viewpoint, each with its own heading."""
    targets: TargetRule = "intended"
    """Rule of the target maps: "published" puts neighbours that are out of range at 2.75 m."""
    suppression: Suppression = "circular"
    """Suppression of the cells around a peak; "published" has the peculiarities of the original."""
    batch_size: int = 16
    """Number of panoramas in a minibatch."""
    iterations: int = 6_000
    evaluate_every: int = 1_000
    resume: Path | None = None
    """Folder of a run to resume, with its settings. Only --minutes, --evaluate-every, --track,
    --threads and --device may change."""
    rgb: tyro.conf.Fixed[tyro.conf.Suppress[bool]] = False
    """Whether a converted predictor also reads colour; training uses depth only."""
    network: PredictorNetworkConfig = field(default_factory=PredictorNetworkConfig)
    optimiser: OptimiserConfig = field(
        default_factory=lambda: OptimiserConfig(
            name="adamw", learning_rate=1e-3, schedule="cosine", warmup=100, clip="norm"
        )
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_built_in(self.world):
            raise UserError(
                f"--world {self.world}: has no floors to walk on; use houses or houses-standard"
            )
        check_counts(self, ("panoramas",))
        if self.depth_pixels < 16 or self.depth_pixels % 16:
            raise UserError(f"--depth-pixels {self.depth_pixels}: must be a multiple of 16")

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return "waypoint-predictor" + ("" if self.depth_weights is None else "-ddppo")

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `TrainingConfig`."""
        unused = super().unused_options()
        if self.depth_weights is not None:
            names = ("depth_pixels", "network.depth_channels")
            unused |= dict.fromkeys(names, "with --depth-weights")
        return unused


def parse_predictor(arguments: Sequence[str], description: str | None) -> PredictorConfig:
    """Return the settings of a predictor's training from its command line."""
    return parse_run(
        PredictorConfig,
        arguments,
        description,
        defaults=PredictorConfig,
        idle=PredictorConfig.unused_options,
        may_change=PredictorConfig.MAY_CHANGE,
    )

"""Settings of ETPNav, its presets and defaults; nothing imports torch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.agents.settings.networks import ExpertKind
from clipnav.agents.transformer.settings import TransformerAgentConfig, TransformerConfig
from clipnav.envs.datasets import continuous_version, dataset_spec
from clipnav.envs.worlds import World, is_built_in
from clipnav.storage.errors import UserError
from clipnav.training.run_settings import read_presets
from clipnav.training.settings import check_counts, check_numbers, check_positive

Elevation = Literal["height", "published"]
Rule = Literal["intended", "published"]
EtpNavRecipe = Literal["etpnav-r2r", "etpnav-rxr"]


@dataclass(frozen=True)
class EtpNavNetworkConfig(TransformerConfig):
    """Layer sizes and dropout of ETPNav's transformer."""

    elevation: Elevation = "height"
    """Elevation of a place in its position features: from the height, or, as in the published
    program and its weights, from the offset along a horizontal axis (-y)."""


@dataclass(frozen=True)
class GhostMapConfig:
    """Which places of the map are the same; the default values are ETPNav's."""

    merge_distance: float = 0.5
    """Distance in metres within which a waypoint is a known place."""
    merges: bool = True
    """Merge a waypoint with the ghost that is near; otherwise each sighting is a new ghost."""
    keeps: bool = False
    """Keep a ghost that has been chosen as a target of later decisions."""

    def __post_init__(self) -> None:
        check_numbers(self, ("merge_distance",), "map.")


@dataclass(frozen=True)
class EtpNavTrainConfig(TransformerAgentConfig):
    """Settings of the training of ETPNav in continuous episodes.

    An iteration walks a batch of episodes. Each decision is the teacher's with a probability that
    falls during the training, or sampled; the labels are always the teacher's.
    """

    COMMON: ClassVar = (
        *("agent", "dataset", "world", "preset", "waypoints", "predictor", "encoder", "start_from"),
        *("iterations", "minutes", "batch_size", "optimiser.learning_rate", "seed", "output"),
        *("resume", "device"),
    )

    agent: str = "etpnav"
    """Agent to train: ETPNav, which walks in continuous space."""
    preset: EtpNavRecipe | None = None
    """Hyper-parameters, dataset included, as defaults of the other flags."""
    dataset: str = "r2r"
    """Task: R2R-CE (r2r) or RxR-CE (rxr)."""
    encoder: str = "house_clip"
    """Encoder of the colour pictures: house_clip, a folder in open_clip's local-dir format, or an
    open_clip name with its weights (ViT-B-32:openai)."""
    cameras: Literal["r2r-ce", "graph"] = "r2r-ce"
    """Colour pictures: 90 degrees at 1.25 m (r2r-ce, ETPNav), or 60 degrees at 1.5 m, as the views
    that map agents learn from (graph)."""
    waypoints: Literal["floor", "predicted"] = "floor"
    """Waypoints around the agent: computed from the floor, or predicted from depth pictures by
    --predictor, whose depth features the agent then reads, too."""
    predictor: Path | None = None
    """Run of clipnav train-waypoint-predictor or convert-waypoint-predictor, kept as it is."""
    resampling: Literal["none", "intended", "published"] = "intended"
    """Augmentation of predicted waypoints in training: sample each one from the heat map of its
    view. "published" samples those ahead between 0 and 27 degrees, not between -15 and 12."""
    max_decisions: int = 15
    """Maximum number of decisions of an episode."""
    expert: ExpertKind = "spl"
    """Teacher: the ghost nearest to the goal (spl), or to the next point of the expert's walk that
    lies ahead (ndtw)."""
    sub_goals: Rule = "intended"
    """Choice of that point; "published" jumps back where the points near the agent have a gap."""
    expert_probability: float = 0.75
    """Probability of the teacher's decision is this value to the power of p in part p (from 1) of
    the training."""
    expert_iterations: int = 3_000
    """Number of iterations of each part."""
    tryout: bool | None = None
    """After a collision, turn aside and try the directions in between; by default where the agent
    does not slide along obstacles (RxR-CE)."""
    batch_size: int = 16
    """Number of episodes of an iteration. Each process of torchrun has its own."""
    iterations: int = 15_000
    evaluation_episodes: int | None = 32
    """Number of episodes of a split that select the best weights, spread over the split; all if
    None."""
    results_episodes: int | None = 96
    """Number of episodes of a split for the final results, spread over the split; all if None."""
    map: GhostMapConfig = field(default_factory=GhostMapConfig)
    network: EtpNavNetworkConfig = field(default_factory=EtpNavNetworkConfig)
    start_from: Path | None = None
    """Run whose network provides the initial weights. It is one of this agent, or of a map agent or
    its pre-training (clipnav pretrain-agent) with the same encoder; without its local branch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        continuous_version(self.dataset)
        if not is_built_in(self.world):
            raise UserError(
                f"--world {self.world}: has no floors to walk on; use houses or houses-standard"
            )
        counts = ("max_decisions", "expert_iterations", "evaluation_episodes", "results_episodes")
        check_counts(self, counts)
        check_numbers(self, ("expert_probability",), most=1)
        check_positive(self, ("expert_probability",))
        if self.max_decisions >= self.network.max_steps:
            raise UserError(
                f"--max-decisions {self.max_decisions}: must be below --network.max-steps "
                f"{self.network.max_steps}, the size of the table of steps"
            )
        if (self.waypoints == "predicted") != (self.predictor is not None):
            raise UserError(
                f"--waypoints {self.waypoints}: give --predictor with --waypoints predicted, and "
                "only then"
            )
        if self.network.standardise:
            raise UserError("--network.standardise: ETPNav reads no stored features; omit it")

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        name = super().run_name.replace(self.dataset, f"{self.dataset}-ce", 1)
        return name + ("" if self.start_from is None else "-continued")

    def teacher_probability(self, iteration: int) -> float:
        """Return the probability of the teacher's decisions in an iteration (from 0)."""
        return self.expert_probability ** (iteration // self.expert_iterations + 1)

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused = super().unused_options()
        names = ("teacher", "angle_feature_size", "visual_representation", "features")
        unused |= dict.fromkeys(
            names, "with --agent etpnav, which encodes its pictures by --encoder"
        )
        if self.waypoints == "floor":
            unused["resampling"] = "with --waypoints floor"
        if self.expert == "spl":
            unused["sub_goals"] = "with --expert spl"
        if not self.vision:
            unused |= dict.fromkeys(("encoder", "cameras"), "with --no-vision")
        return unused


_FILE = Path(__file__).with_name("presets.toml")


def etpnav_preset(
    dataset: str, world: World, recipe: EtpNavRecipe | None = None
) -> EtpNavTrainConfig:
    """Return the default settings of ETPNav: a small network for a CPU, or the published ones."""
    start = EtpNavTrainConfig(dataset=dataset, world=world, preset=recipe)
    like = dataset_spec(dataset).like
    return read_presets(start, _FILE, "defaults" if recipe is None else "presets", like=like)


def etpnav_defaults(
    dataset: str, world: World, recipe: EtpNavRecipe | None, flag: Callable[[str], str | None]
) -> EtpNavTrainConfig:
    """Return the settings of ETPNav without flags, see `AgentSpec.defaults`."""
    return etpnav_preset(dataset, world, recipe)

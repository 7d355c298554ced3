"""Settings, presets and command line of agents for R2R-CE and RxR-CE; nothing imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import tyro

from clipnav.agents.settings.command_line import parse_training
from clipnav.agents.settings.evaluation import SUBMISSIONS, check_submitted_splits
from clipnav.envs.continuous.robots import noise_names, robot_settings
from clipnav.envs.datasets import continuous_version, dataset_spec
from clipnav.envs.worlds import World, is_built_in
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_outputs
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.run_settings import EvaluatedTrainingConfig, read_presets
from clipnav.training.settings import check_counts, check_numbers, check_positive

_OF_TRAINING = ("rgb_size", "depth_size", "min_depth", "max_depth")
RELEASED = "vlnce-resnet50"  # encoder of converted agents, whose weights lie in their run
ContinuousRecipe = Literal[
    "seq2seq", "seq2seq-pm", "seq2seq-dagger", "cma", "cma-pm", "cma-dagger", "cma-pm-dagger"
]
NetworkKind = Literal["seq2seq", "cma"]


@dataclass(frozen=True)
class EvaluateContinuousConfig:
    """Run, splits and outputs."""

    run: tyro.conf.Positional[Path]
    """Folder of a run of clipnav train-continuous-agent, or of train-agent --agent etpnav."""
    splits: tuple[str, ...] = ("val_unseen",)
    """Splits to evaluate: val_seen, val_unseen, ..."""
    episodes: int | None = None
    """Number of episodes of a split, spread over it; all if not given."""
    robot: str | None = None
    """Robot of the evaluation, instead of the task's agent: habitat, locobot, locobot-2020 or
    stretch. Its body, the height and field of view of its camera, and its noise are used; the sizes
    of the pictures and the range of depth stay those of the training."""
    actuation_noise: str = "none"
    """Noise of steps and turns: locobot-ilqr, locobot-proportional, locobot-movebase, or the same
    of locobot-lite; none, or that of --robot, if not given."""
    baselines: bool = True
    """Evaluate the expert and the non-learning agents, too."""
    submission: Path | None = None
    """File to write the walks to, in the format of the test server of R2R-CE or RxR-CE."""
    json: Path | None = None
    """File for the scores of the table: {"results": {SPLIT: {AGENT: {MEASURE: MEAN}}}}."""
    batch_size: int = 32
    """Number of episodes in a batch."""
    threads: int | None = None
    """Number of CPU threads of torch; torch's default if not given."""
    device: str = "cpu"
    """Device of the agent: cpu, cuda, cuda:1, ..."""

    def __post_init__(self) -> None:
        check_counts(self, ("episodes", "batch_size", "threads"))
        check_submitted_splits(self)
        self.changes()  # refuses unknown names
        if self.submission is not None and self.episodes is not None:
            raise UserError(
                f"--episodes {self.episodes}: a submission contains all episodes of a split; "
                "remove it, or --submission"
            )
        check_outputs(self, {"submission": SUBMISSIONS, "json": (".json",)})

    def changes(self) -> dict[str, Any]:
        """Return the settings of the task that the robot and its noise change."""
        changes = {} if self.robot is None else robot_settings(self.robot)
        changes = {name: value for name, value in changes.items() if name not in _OF_TRAINING}
        if self.actuation_noise != "none":
            if self.actuation_noise not in noise_names():
                raise UserError(
                    f"--actuation-noise {self.actuation_noise}: choose from "
                    f"{', '.join(noise_names())}"
                )
            changes |= {"actuation_noise": self.actuation_noise, "actuation_noise_scale": 1.0}
        return changes


@dataclass(frozen=True)
class ContinuousNetworkConfig:
    """Kind and sizes of the network; the defaults suit a CPU, --preset sets the published ones."""

    kind: NetworkKind = "cma"
    """Network: "seq2seq", one recurrent network over words and pictures, or "cma", cross-modal
    attention with two recurrent networks."""
    word_size: int = 50
    """Width of word embeddings."""
    text_size: int = 64
    """Width of the LSTM that reads the instruction, in each direction."""
    rgb_size: int = 128
    """Width of colour features."""
    depth_size: int = 64
    """Width of depth features."""
    depth_network: Literal["small", "ddppo"] = "small"
    """Depth network: a small one that is trained with the agent, or the frozen ResNet-50 of DD-PPO,
    which converted agents have."""
    depth_channels: int = 32
    """Channels of each of the 16 cells that the depth network returns."""
    state_size: int = 256
    """Width of the recurrent states."""
    position_size: int = 32
    """Width of the position embeddings of cells (cma)."""
    action_size: int = 32
    """Width of the embedding of the previous action (cma)."""
    progress_monitor: bool = False
    """Also predict the progress towards the goal, as an auxiliary task."""
    progress_weight: float = 1.0
    """Weight of the loss of the progress monitor."""

    def __post_init__(self) -> None:
        names = "word_size text_size rgb_size depth_size depth_channels state_size".split()
        check_counts(self, (*names, "position_size", "action_size"), "network.")
        check_numbers(self, ("progress_weight",), "network.")
        if self.depth_network == "ddppo" and self.depth_channels != 128:
            raise UserError("--network.depth-channels: 128 with --network.depth-network ddppo")
        if self.state_size % 2:
            raise UserError(
                f"--network.state-size {self.state_size}: must be even, because attention uses half"
            )

    def idle(self) -> dict[str, str]:
        """Return the names of settings without effect, and why."""
        idle = {}
        if self.kind == "seq2seq":
            reason = "with --network.kind seq2seq"
            idle |= {"position_size": reason, "action_size": reason}
        if not self.progress_monitor:
            idle["progress_weight"] = "without --network.progress-monitor"
        return idle


@dataclass(frozen=True)
class ContinuousTrainConfig(EvaluatedTrainingConfig):
    """Settings of the training of a continuous agent."""

    COMMAND: ClassVar = "clipnav train-continuous-agent"
    MAY_CHANGE: ClassVar = frozenset(
        "resume minutes evaluate_every demonstrations results_episodes threads device track".split()
    )
    COMMON: ClassVar = (
        *("dataset", "world", "preset", "network.kind", "encoder", "rounds", "iterations"),
        *("batch_size", "optimiser.learning_rate", "seed", "output", "resume", "device"),
    )

    dataset: str = "r2r"
    """Task: R2R-CE or RxR-CE."""
    world: World = "houses"
    """Set of built-in houses: houses or houses-standard."""
    preset: ContinuousRecipe | None = None
    """Published hyper-parameters as defaults of the other flags."""
    encoder: str = "house_clip"
    """Encoder of the colour pictures: house_clip, a folder in open_clip's local-dir format, or an
    open_clip name with its weights (RN50:openai)."""
    depth_pixels: int = 64
    """Height and width of the depth pictures that the depth network receives; a multiple of 16."""
    vision: bool = True
    """Use pictures; without them both are 0."""
    instruction_ablation: Literal["none", "empty"] = "none"
    """Ablation of the instructions in training and evaluation: none, or empty instructions."""
    teacher: Literal["path", "goal"] = "path"
    """Expert: "path" visits the viewpoints of the reference path in order, "goal" takes the
    shortest walk to the goal (VLN-CE)."""
    rounds: int = 3
    """Number of rounds of DAgger; each collects episodes and then trains on those of all rounds so
    far. In the first round only the expert acts, so 1 is teacher forcing."""
    episodes_per_round: int | None = 400
    """Number of episodes that a round collects; in the first round a number of paths. All of the
    split if None, as with the presets of teacher forcing."""
    max_walk_length: int | None = None
    """Longest walk in actions that training uses, stop included; all walks if None."""
    expert_probability: float = 0.75
    """Probability at a step of round r (from 0) that the expert acts is this value to the power of
    r; otherwise an action is sampled from the policy. The labels are always the expert's."""
    inflection_weight: float = 3.2
    """Weight in the loss of the actions that differ from the expert's previous one."""
    batch_size: int = 5
    """Number of episodes in a batch."""
    collect_batch_size: int = 16
    """Number of episodes that are collected together."""
    demonstrations: Path | None = None
    """Folder of the expert's demonstrations, which runs share; by default a folder in the cache.
    Those of later rounds lie in the folder of the run."""
    iterations: int = 5_000
    """Number of weight updates, of all rounds together; round r has a share that grows with r."""
    evaluate_every: int = 2_500
    evaluation_episodes: int | None = 32
    """Number of episodes of a split that select the best weights, spread over the split; all if
    None. The results of the run have their own number, see --results-episodes."""
    results_episodes: int | None = 96
    """Number of episodes of a split for the final results, spread over the split; all if None."""
    evaluation_batch_size: int = 32
    """Number of episodes in an evaluation batch."""
    evaluation_actions: Literal["argmax", "sample"] = "argmax"
    """Actions of the agent in evaluations: the most probable ones, or samples."""
    select_metric: Literal["SR", "SPL", "nDTW", "sDTW"] = "SPL"
    resume: Path | None = None
    """Folder of a run to resume, with its settings. Only --minutes, --evaluate-every,
    --demonstrations, --results-episodes, --track, --threads and --device may change."""
    network: ContinuousNetworkConfig = field(default_factory=ContinuousNetworkConfig)
    optimiser: OptimiserConfig = field(
        default_factory=lambda: OptimiserConfig(learning_rate=1e-3, schedule="linear", clip="norm")
    )

    def __post_init__(self) -> None:
        if not is_built_in(self.world):
            raise UserError(
                f"--world {self.world}: has no floors to walk on; use houses or houses-standard"
            )
        continuous_version(self.dataset)
        super().__post_init__()
        counts = "rounds episodes_per_round collect_batch_size evaluation_batch_size".split()
        check_counts(self, (*counts, "evaluation_episodes", "results_episodes", "max_walk_length"))
        check_numbers(self, ("expert_probability",), most=1)
        check_numbers(self, ("inflection_weight",))
        check_positive(self, ("inflection_weight",))  # a walk needs a step with weight
        if self.depth_pixels < 16 or self.depth_pixels % 16:
            raise UserError(f"--depth-pixels {self.depth_pixels}: must be a multiple of 16")
        if (self.encoder == RELEASED) != (self.network.depth_network == "ddppo"):
            raise UserError(
                f"--encoder {RELEASED} and --network.depth-network ddppo: only together, in runs "
                "of clipnav convert-agent"
            )
        if self.rounds > 1 and self.minutes is not None:
            raise UserError(
                "--minutes and --rounds: rounds divide --iterations; give --iterations instead"
            )

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        name = f"{self.dataset}-ce-{self.world}-{self.network.kind}"
        name += "-pm" if self.network.progress_monitor else ""
        name += "-dagger" if self.rounds > 1 else ""
        name += "" if self.vision else "-no-vision"
        return name + ("" if self.use_instructions else "-empty-instructions")

    @property
    def use_instructions(self) -> bool:
        """Whether the agent reads more than empty instructions."""
        return self.instruction_ablation != "empty"

    def round_of(self, iteration: int) -> int:
        """Return the round (from 0) of an iteration (from 0).

        Round r of R has (r + 1) shares of the iterations, because it trains on the episodes of
        r + 1 rounds.
        """
        parts = self.rounds * (self.rounds + 1) // 2
        done = 0
        for number in range(self.rounds):
            done += number + 1
            if iteration * parts < self.iterations * done:
                return number
        return self.rounds - 1

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `TrainingConfig`."""
        unused = super().unused_options()
        unused |= {f"network.{name}": reason for name, reason in self.network.idle().items()}
        if self.rounds == 1:
            unused["expert_probability"] = "with --rounds 1, in which only the expert acts"
        return unused


_FILE = Path(__file__).with_name("presets.toml")


def continuous_defaults(
    dataset: str = "r2r", world: World = "houses", recipe: ContinuousRecipe | None = None
) -> ContinuousTrainConfig:
    """Return the default settings of a task and world.

    Args:
        recipe: Published settings; None for a short training of a small CMA by DAgger on a CPU.
    """
    start = ContinuousTrainConfig(dataset=dataset, world=world, preset=recipe)
    like = dataset_spec(dataset).like
    return read_presets(start, _FILE, "defaults" if recipe is None else "presets", dataset=like)


def parse_continuous(
    arguments: Sequence[str], description: str | None = None
) -> ContinuousTrainConfig:
    """Return the settings of a continuous agent's training from its command line."""
    return parse_training(ContinuousTrainConfig, continuous_defaults, arguments, description)

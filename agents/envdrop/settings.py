"""Settings of the trainings of followers and speakers, and their presets.

`presets.toml` has the hyper-parameters of the released scripts of EnvDrop, CLIP-ViL and CLEAR.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal, Self, TypeVar

from clipnav.agents.settings import read_agent_config
from clipnav.agents.settings.command_line import parse_training
from clipnav.agents.settings.networks import (
    BackTranslationConfig,
    ClearConfig,
    Feedback,
    FollowerConfig,
    ReinforcementConfig,
    SpeakerConfig,
)
from clipnav.agents.settings.runs import AgentConfig, RunConfig
from clipnav.envs.datasets import dataset_spec
from clipnav.envs.navigation.rewards import Reward
from clipnav.envs.worlds import World
from clipnav.storage.errors import UserError
from clipnav.training.run_settings import read_presets
from clipnav.training.settings import check_counts, check_numbers

Recipe = Literal["envdrop", "clip-vil-r2r", "clip-vil-rxr", "clear"]
Config = TypeVar("Config", bound=RunConfig)


@dataclass(frozen=True)
class RecurrentAgentConfig(AgentConfig):
    """Settings of every training of an agent whose network is a follower."""

    COMMON: ClassVar = (*AgentConfig.COMMON, "start_from", "reinforcement.weight")

    preset: Recipe | None = None
    sampled_steps: float = 0.0
    """Probability of a sampled action at each step of a teacher-forced episode (DAgger, Ross et al.
    2011)."""
    imitation_weight: float = 1.0
    """Weight of the imitation loss."""
    object_weight: float = 1.0
    """Weight of the loss of the chosen objects at the viewpoints of a goal, for datasets with
    objects."""
    reward: Reward = "distance"
    """Reward of reinforcement: reduction of the distance to the goal, or also the gain in nDTW with
    the reference path."""
    reinforcement: ReinforcementConfig = field(default_factory=ReinforcementConfig)
    follower: FollowerConfig = field(default_factory=FollowerConfig)
    start_from: Path | None = None
    """Run whose follower provides the initial weights. From a run on another dataset or world, the
    embeddings of shared words are used. Determines the defaults of other flags: from a run on the
    same data in the built-in houses, training is shorter, and has reinforcement, unless a frontier
    agent starts from a follower."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, ("sampled_steps",), most=1)
        check_numbers(self, ("imitation_weight", "object_weight"))
        if not self.has_loss:
            raise UserError(
                "--imitation-weight 0 and --reinforcement.weight 0: the run has no loss; set one "
                "of them above 0"
            )

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return super().run_name + ("" if self.start_from is None else "-continued")

    @property
    def has_critic(self) -> bool:
        """Whether the weights of the run include a critic."""
        return bool(self.reinforcement.weight)

    @property
    def has_loss(self) -> bool:
        """Whether the run has something to learn from."""
        return bool(self.imitation_weight or self.reinforcement.weight)

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused = super().unused_options() | self._unused_features(self.follower, "follower")
        if self.language_representation is not None:
            unused["follower.embedding_size"] = "with --language-representation"
        elif self.text.tokens == "pretrained":
            unused["follower.embedding_size"] = "with --text.tokens pretrained"
        else:
            unused["follower.read_states"] = "without --text.model and --language-representation"
        if self.visual_representation is not None and self.vision:
            unused["follower.standardise"] = "with --visual-representation, which has its own"
        if not self.reinforcement.weight:
            unused["reward"] = "with --reinforcement.weight 0"
        if not dataset_spec(self.dataset).objects:
            unused["object_weight"] = f"with --dataset {self.dataset}, which has no objects"
        return unused


@dataclass(frozen=True)
class TrainConfig(RecurrentAgentConfig):
    """Settings of a follower's training."""

    COMMON: ClassVar = (*RecurrentAgentConfig.COMMON, "back_translation.speaker")

    batch_size: int = 64
    """Number of episodes in a minibatch; imitation and reinforcement have one minibatch each. Each
    process of torchrun has its own minibatches."""
    feedback: Feedback = "teacher"
    """Source of the actions during imitation: teacher forcing (teacher), student forcing (sample),
    or one of them in each half of the batch (mixed)."""
    max_training_steps: int | None = None
    """Maximum number of actions in a training episode, if smaller than --max-episode-steps."""
    back_translation: BackTranslationConfig = field(default_factory=BackTranslationConfig)
    clear: ClearConfig = field(default_factory=ClearConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("max_training_steps",))

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return super().run_name + (
            "" if self.back_translation.speaker is None else "-back-translation"
        )

    @property
    def has_loss(self) -> bool:
        """Whether the run has something to learn from."""
        return super().has_loss or self.back_translation.speaker is not None

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused = super().unused_options()
        if not self.imitation_weight and self.back_translation.speaker is None:
            names = ("feedback", "sampled_steps", "teacher")
            unused |= dict.fromkeys(names, "with --imitation-weight 0")
        elif self.feedback == "sample":
            unused["sampled_steps"] = "with --feedback sample, which samples every action"
        unused |= self._unused_back_translation()
        if self.visual_representation is None or not self.vision:
            unused["clear.encode_stop"] = "without --visual-representation"
        if not self.imitation_weight:
            unused["clear.contrastive_weight"] = "with --imitation-weight 0"
        if self.instruction_ablation != "none":
            unused["clear.contrastive_weight"] = (
                f"with --instruction-ablation {self.instruction_ablation}"
            )
        if not self.clear.contrastive_weight:
            unused["clear.temperature"] = "with --clear.contrastive-weight 0"
        limit = self.max_episode_steps or dataset_spec(self.dataset).max_episode_steps
        if self.max_training_steps is not None and self.max_training_steps >= limit:
            unused["max_training_steps"] = f"because all episodes end after {limit} steps"
        return unused

    def _unused_back_translation(self) -> dict[str, str]:
        if self.back_translation.speaker is None:
            names = ("imitation_weight", "paths", "dropout")
            without = "without --back-translation.speaker"
            return {f"back_translation.{name}": without for name in names}
        if not self.vision:
            return {"back_translation.dropout": "with --no-vision"}
        if not self.follower.feature_dropout:
            return {"back_translation.dropout": "with --follower.feature-dropout 0"}
        return {}


@dataclass(frozen=True)
class SpeakerTrainConfig(RunConfig):
    """Settings of a speaker's training."""

    COMMAND: ClassVar = "clipnav train-speaker"

    preset: Recipe | None = None
    teacher: Literal["shortest", "reference"] = "reference"
    """Path to describe: the shortest path to the goal, or the annotated reference path."""
    select_metric: Literal["BLEU"] = "BLEU"
    max_decoded_length: int | None = None
    """Maximum number of tokens of a generated instruction, start and end token included; by default
    --max-instruction-length."""
    speaker: SpeakerConfig = field(default_factory=SpeakerConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("max_instruction_length", "max_decoded_length"), least=2)
        if self.text.tokens == "pretrained":
            raise UserError(
                "--text.tokens pretrained: a speaker generates words or subwords; choose one of "
                "these"
            )

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return f"speaker-{super().run_name}"

    @property
    def longest_decoded(self) -> int:
        """Maximum number of tokens of a generated instruction."""
        return self.max_decoded_length or self.max_instruction_length

    def shown(self) -> Self:
        """Return the settings as --help shows them, see `TrainingConfig`."""
        return replace(super().shown(), max_decoded_length=self.longest_decoded)

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        return super().unused_options() | self._unused_features(self.speaker, "speaker")


_FILE = Path(__file__).with_name("presets.toml")


def preset(
    dataset: str,
    world: World,
    recipe: Recipe | None = None,
    translated: bool = False,
    continued: bool = False,
) -> TrainConfig:
    """Return the default settings of a follower."""
    if recipe == "clear" and translated:
        raise UserError(
            "--preset clear has no back-translation; omit --back-translation.speaker, or choose "
            "another preset"
        )
    return recurrent_preset(
        TrainConfig(dataset=dataset, world=world, preset=recipe),
        "follower",
        continued,
        reinforced=bool(recipe) or world == "matterport" or translated or continued,
        translated=translated,
    )


def recurrent_preset(
    start: Config, training: str, continued: bool, reinforced: bool, translated: bool = False
) -> Config:
    """Return settings with the values of the file for their dataset, world and preset."""
    facts = {"continued": continued, "reinforced": reinforced, "translated": translated}
    section = "defaults" if start.preset is None else "presets"
    return read_presets(start, _FILE, section, training=training, **facts)


def follower_defaults(
    dataset: str, world: World, recipe: Recipe | None, flag: Callable[[str], str | None]
) -> TrainConfig:
    """Return the settings of a follower without flags, see `AgentSpec.defaults`.

    They depend on back-translation, and on whether the run starts from one on the same data.
    """
    translated = flag("back-translation.speaker") is not None
    return preset(dataset, world, recipe, translated, continues(flag, dataset, world))


def continues(flag: Callable[[str], str | None], dataset: str, world: World) -> bool:
    """Return whether --start-from names a run on the same data."""
    start = flag("start-from")
    if start is None:
        return False
    config = read_agent_config(Path(start))
    return (config.dataset, config.world) == (flag("dataset") or dataset, world)


def speaker_preset(dataset: str, world: World, recipe: Recipe | None = None) -> SpeakerTrainConfig:
    """Return the default settings of a speaker; arguments are those of `preset`."""
    if recipe == "clear":
        raise UserError("--preset clear has no speaker; choose another preset")
    start = SpeakerTrainConfig(dataset=dataset, world=world, preset=recipe)
    return recurrent_preset(start, "speaker", continued=False, reinforced=False)


def parse_speaker(arguments: Sequence[str], description: str | None = None) -> SpeakerTrainConfig:
    """Return the settings of a speaker's training from its command line."""
    return parse_training(SpeakerTrainConfig, speaker_preset, arguments, description)

"""Settings of the network and of the training of HAMT; `presets.toml` has the published ones."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clipnav.agents.transformer.settings import MinibatchesConfig, TransformerConfig
from clipnav.envs.datasets import dataset_spec
from clipnav.envs.worlds import World, is_built_in
from clipnav.storage.errors import UserError
from clipnav.training.run_settings import read_presets

HistoryRecipe = Literal["hamt-r2r", "hamt-rxr", "hamt-r4r", "hamt-cvdn", "hamt-houses"]
_FILE = Path(__file__).with_name("presets.toml")


@dataclass(frozen=True)
class HistoryTransformerConfig(TransformerConfig):
    """Layer sizes and dropout of HAMT."""

    language_attention: bool = True
    """Let the words attend to history and views in every cross-modal layer (HAMT for R2R); without
    it, the text of an episode is encoded once for all its steps (HAMT for RxR: --no_lang_ca)."""


@dataclass(frozen=True)
class HistoryTrainConfig(MinibatchesConfig):
    """Settings of a HAMT agent's fine-tuning by imitation and reinforcement.

    An iteration has two minibatches: teacher forcing on reference paths, and walks with sampled
    actions for reinforcement (A2C), which the teacher can label as well (DAgger).
    """

    agent: str = "hamt"
    """Agent to train: HAMT, which attends to the instruction, to all its past steps and to the
    views around it."""
    preset: HistoryRecipe | None = None
    """Hyper-parameters, dataset included, as defaults of the other flags."""
    teacher: Literal["shortest", "reference"] = "reference"
    """Path that labels sampled walks: the shortest path to the goal, or the annotated reference
    path. Teacher forcing follows the reference path."""
    angle_feature_size: int = 4
    """Width of the angle features of a view."""
    network: HistoryTransformerConfig = field(default_factory=HistoryTransformerConfig)
    start_from: Path | None = None
    """Run whose network provides the initial weights: of HAMT, or of a follower, whose word encoder
    is used (--network.text-encoder lstm). Words that both vocabularies contain keep their
    embeddings."""
    freeze_encoders: bool = False
    """Do not train the text and history encoders that --start-from provides (HAMT: yes)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step_limit > self.network.max_steps:
            raise UserError(
                f"--max-episode-steps {self.step_limit}: at most --network.max-steps "
                f"{self.network.max_steps}, the size of the table of steps"
            )

    @property
    def step_limit(self) -> int:
        """Maximum number of actions in an episode."""
        return self.max_episode_steps or dataset_spec(self.dataset).max_episode_steps

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused = super().unused_options()
        if not self.sampled_weight:
            unused["teacher"] = "with --sampled-weight 0"
        if self.start_from is None:
            unused["freeze_encoders"] = "without --start-from"
        return unused


def history_preset(
    dataset: str, world: World, recipe: HistoryRecipe | None = None
) -> HistoryTrainConfig:
    """Return the default settings of a HAMT agent.

    Without a recipe they are those of HAMT for Matterport3D and of "hamt-houses" for the built-in
    houses, with the teacher and the metric of the dataset.

    Args:
        dataset: Dataset of instructions; ignored with a published recipe, which has its own.
    """
    start = HistoryTrainConfig(dataset=dataset, world=world, preset=recipe)
    if recipe == "hamt-houses" or (recipe is None and is_built_in(world)):
        return read_presets(start, _FILE, "houses")
    return read_presets(start, _FILE, "presets", preset=recipe or f"hamt-{dataset}")


def history_defaults(
    dataset: str, world: World, recipe: HistoryRecipe | None, flag: Callable[[str], str | None]
) -> HistoryTrainConfig:
    """Return the settings of HAMT without flags, see `AgentSpec.defaults`."""
    return history_preset(dataset, world, recipe)

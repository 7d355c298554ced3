"""Settings of the network and of the training of HAMT, with the published ones as presets.

A published preset has the hyper-parameters of `finetune_src/scripts/run_r2r.sh`, `run_rxr.sh` or
`run_r4r.sh`. A comment marks each setting that has no published value.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from clipnav.agents.settings.losses import ReinforcementConfig
from clipnav.agents.settings.networks import TextConfig
from clipnav.agents.transformer.network_settings import TransformerConfig
from clipnav.agents.transformer.settings import MinibatchesConfig
from clipnav.envs.worlds import MAX_EPISODE_STEPS, Dataset, World, is_built_in
from clipnav.storage.errors import UserError
from clipnav.training.optimiser_settings import OptimiserConfig

HistoryRecipe = Literal["hamt-r2r", "hamt-rxr", "hamt-r4r", "hamt-houses"]


@dataclass(frozen=True)
class HistoryTransformerConfig(TransformerConfig):
    """Layer sizes and dropout of HAMT."""

    language_attention: bool = True
    """Let the words attend to history and views in every cross-modal layer (HAMT for R2R); without
    it, the text of an episode is encoded once for all its steps (HAMT for RxR: --no_lang_ca)."""


_BERT, _XLM_R = "bert-base-uncased", "xlm-roberta-base"

PRESETS: dict[HistoryRecipe, HistoryTransformerConfig] = {
    # HAMT `finetune_src/scripts/run_r2r.sh`: the first layers of BERT.
    "hamt-r2r": HistoryTransformerConfig(text_model=_BERT, text_model_layers=9),
    # `run_rxr.sh`: its --featdropout is unknown to the parser, so that the default of 0.3 is used.
    "hamt-rxr": HistoryTransformerConfig(
        text_model=_XLM_R, text_model_layers=9, feature_dropout=0.3, language_attention=False
    ),
    # `run_r4r.sh`: the same defaults of the parser.
    "hamt-r4r": HistoryTransformerConfig(
        text_model=_BERT, text_model_layers=9, feature_dropout=0.3
    ),
    # Sizes that a CPU trains.
    "hamt-houses": HistoryTransformerConfig(
        hidden_size=128,
        heads=4,
        feed_forward_size=512,
        text_layers=2,
        panorama_layers=1,
        cross_layers=2,
        feature_dropout=0.3,
        feature_dropout_kind="episode",
        standardise=True,
    ),
}
"""Settings by name."""


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
        return self.max_episode_steps or MAX_EPISODE_STEPS[self.dataset]

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused = super().unused_options()
        if not self.sampled_weight:
            unused["teacher"] = "with --sampled-weight 0"
        if self.start_from is None:
            unused["freeze_encoders"] = "without --start-from"
        return unused


def _pretrained(model: str) -> TextConfig:
    return TextConfig(tokens="pretrained", model=model, tune=True, learning_rate=1e-5)


# AdamW with PyTorch's default weight decay, because --decay of the scripts is not passed on. The
# original alternates minibatches of the training split and of PREVALENT's generated instructions.
_R2R: dict[str, Any] = {
    "dataset": "r2r",
    "batch_size": 8,
    "bucket": 1,
    "iterations": 300_000,
    "evaluate_every": 2_000,
    "optimiser": OptimiserConfig(
        name="adamw", learning_rate=1e-5, weight_decay=0.01, clip="norm", clip_at=40.0
    ),
    "max_episode_steps": 15,
    "max_instruction_length": 60,
    "teacher_weight": 0.2,
    "sampled_weight": 0.0,
    "reward": "ndtw",
    "reinforcement": ReinforcementConfig(weight=1.0, discount=0.9, value=0.5, entropy=0.01),
    "critic_dropout": 0.5,  # `model_HAMT.py: Critic`, --dropout of the scripts
    "freeze_encoders": True,
    "text": _pretrained("bert-base-uncased"),
    # The original selects by SR + SPL.
    "select_by": "val_unseen",
    "select_metric": "SPL",
    "seed": 0,
}
_PUBLISHED: dict[HistoryRecipe, dict[str, Any]] = {
    "hamt-r2r": _R2R,
    "hamt-rxr": {
        **_R2R,
        "dataset": "rxr",
        "iterations": 200_000,
        "max_episode_steps": 20,
        "max_instruction_length": 250,
        "text": _pretrained("xlm-roberta-base"),
    },
    # The parser ignores the names of most flags of `run_r4r.sh`, so that its defaults are used. The
    # other values are those for R2R.
    "hamt-r4r": {**_R2R, "dataset": "r4r", "max_instruction_length": 80},
}
_RECIPES: dict[Dataset, HistoryRecipe] = {"r2r": "hamt-r2r", "rxr": "hamt-rxr", "r4r": "hamt-r4r"}
# The built-in houses on a CPU: a network of a hundredth of the size, with a learning rate that is
# fifty times as high.
_HOUSES: dict[str, Any] = {
    "batch_size": 12,
    "bucket": 8,
    "iterations": 6_000,
    "evaluate_every": 500,
    "instructions_per_path": 3,
    "cloning_iterations": 1_500,
    "max_instruction_length": 80,
    "optimiser": OptimiserConfig(
        name="adamw",
        learning_rate=5e-4,
        weight_decay=0.01,
        schedule="cosine",
        warmup=100,
        clip="norm",
        clip_at=5.0,
    ),
    # Labels of the shortest path teach the agent to recover; reinforcement can follow.
    "teacher": "shortest",
    "sampled_weight": 1.0,
    "network": PRESETS["hamt-houses"],
}
# RxR and R4R compare whole paths.
_PATHS: dict[str, Any] = {
    "teacher": "reference",
    "select_metric": "nDTW",
    "max_instruction_length": 160,
}
_DATASETS: dict[Dataset, dict[str, Any]] = {
    "r2r": {},
    "rxr": {**_PATHS, "text": TextConfig(tokens="subwords")},
    "r4r": _PATHS,
}


def history_preset(
    dataset: Dataset, world: World, recipe: HistoryRecipe | None = None
) -> HistoryTrainConfig:
    """Return the default settings of a HAMT agent.

    Without a recipe they are those of HAMT for Matterport3D and of "hamt-houses" for the built-in
    houses, with the teacher and the metric of the dataset.

    Args:
        dataset: Dataset of instructions; ignored with a published recipe, which has its own.
        world: Set of buildings.
        recipe: Named settings.
    """
    if recipe is None and not is_built_in(world):
        published = _RECIPES[dataset]
        values = {**_PUBLISHED[published], "network": PRESETS[published]}
    elif recipe in _PUBLISHED:
        values = {**_PUBLISHED[recipe], "network": PRESETS[recipe]}
    else:
        values = {**_HOUSES, **_DATASETS[dataset], "dataset": dataset}
    return HistoryTrainConfig(world=world, preset=recipe, **values)


def history_defaults(
    dataset: Dataset, world: World, recipe: HistoryRecipe | None, flag: Callable[[str], str | None]
) -> HistoryTrainConfig:
    """Return the settings of HAMT without flags, see `AgentSpec.defaults`."""
    return history_preset(dataset, world, recipe)

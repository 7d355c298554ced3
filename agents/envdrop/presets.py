"""Default settings by dataset and world, and published settings (recipes).

A recipe has the hyper-parameters of the released scripts: EnvDrop's `agent.bash`, `speaker.bash`
and `bt_envdrop.bash`, which CLIP-ViL runs on CLIP features (`agent_clip_vit.bash`, ...), and
CLIP-ViL's `agent_rxr_clip_vit_{en,hi,te}.bash`; and of CLEAR's agent (docs/clear.md). A comment
marks each setting that no script has.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from clipnav.agents.envdrop.settings import (
    Recipe,
    SpeakerTrainConfig,
    TrainConfig,
)
from clipnav.agents.settings import (
    BackTranslationConfig,
    ClearConfig,
    FollowerConfig,
    ReinforcementConfig,
    RunConfig,
    SpeakerConfig,
    TextConfig,
    read_agent_config,
)
from clipnav.agents.settings.command_line import parse_training
from clipnav.envs.worlds import Dataset, World
from clipnav.storage.errors import UserError
from clipnav.training.optimiser_settings import OptimiserConfig

# Settings that followers and speakers share, without those that have other defaults in speakers.
_SHARED = {item.name for item in dataclasses.fields(RunConfig)} - {"teacher", "select_metric"}

# RxR and R4R have detours: instructions describe the reference path, not the shortest path.
_ANNOTATED: dict[str, Any] = {
    "teacher": "reference",
    "reward": "ndtw",
    "select_metric": "nDTW",
    "max_instruction_length": 160,
}
_DATASETS: dict[Dataset, dict[str, Any]] = {
    "r2r": {"max_instruction_length": 80},
    "rxr": {**_ANNOTATED, "text": TextConfig(tokens="subwords")},
    "r4r": _ANNOTATED,
}
# Loss weights of the recipes, used outside of the recipes as well.
_LEARNING: dict[Dataset, dict[str, Any]] = {
    "r2r": {"imitation_weight": 0.2, "iterations": 80_000},
    "rxr": {"imitation_weight": 0.4, "iterations": 200_000, "evaluate_every": 1_000},
    "r4r": {"imitation_weight": 0.2, "iterations": 80_000},
}

# The built-in houses have a few thousand paths and a few hundred words. Networks of half the width
# learn them in minutes on two cores, with a learning rate twenty times as high.
_HOUSES: dict[str, Any] = {
    "iterations": 1_500,
    "evaluate_every": 250,
    "optimiser": OptimiserConfig(
        name="adam",
        learning_rate=2e-3,
        schedule="cosine",
        warmup=50,
        warmup_start=1 / 51,
        clip="norm",
        clip_at=5.0,
    ),
}
# A purely teacher-forced follower never learns to recover. With student forcing in half of the
# batch it reaches the goal more often. Paths have at most seven edges; longer training episodes
# teach it to wander. In RxR and R4R, where metrics compare whole paths, student-forced episodes
# lower the scores; in RxR, single sampled steps raise them.
_HOUSES_FEEDBACK: dict[Dataset, dict[str, Any]] = {
    "r2r": {"feedback": "mixed", "max_training_steps": 9},
    "rxr": {"sampled_steps": 0.25},
}
# With many houses, single sampled steps reach the same success rate and a higher path fidelity.
_STANDARD_FEEDBACK: dict[Dataset, dict[str, Any]] = {
    **_HOUSES_FEEDBACK,
    "r2r": {"sampled_steps": 0.3, "max_training_steps": 9},
}
# A run that continues from another one in the houses: reinforcement, with a lower learning rate.
_HOUSES_CONTINUED: dict[str, Any] = {
    "iterations": 1_000,
    "optimiser": dataclasses.replace(_HOUSES["optimiser"], learning_rate=5e-4),
}
# The large set has seven times as many paths.
_STANDARD: dict[str, Any] = {"iterations": 6_000, "evaluate_every": 500}
_STANDARD_CONTINUED: dict[str, Any] = {"iterations": 2_000}
# A follower overfits to the appearance of a few dozen houses, so the feature dropout is higher than
# published. Generated instructions vary less than human ones, so the dropout is lower.
_HOUSES_FOLLOWER = FollowerConfig(
    embedding_size=128,
    hidden_size=256,
    action_size=32,
    dropout=0.3,
    feature_dropout=0.4,
    location_aware_attention=True,
    candidate_mlp=True,
    read_states=True,
    distance_feature=True,
    visit_features=True,
)
# Hundreds of houses lead to less overfitting.
_STANDARD_FOLLOWER = dataclasses.replace(_HOUSES_FOLLOWER, dropout=0.2, feature_dropout=0.3)
# RxR and R4R compare whole paths, which are longer.
_HOUSES_SPEAKER = SpeakerConfig(embedding_size=128, hidden_size=256, dropout=0.2)

# RMSprop with a constant learning rate of 1e-4 and no weight decay, batches of 64, gradient norms
# of encoder and decoder limited to 40, at most 35 actions, best weights by success on val_unseen.
_PUBLISHED: dict[str, Any] = {
    "batch_size": 64,
    "bucket": 1,
    "max_episode_steps": 35,
    "angle_feature_size": 128,
    "select_by": "val_unseen",
    "seed": 1,
}
_PUBLISHED_FOLLOWER: dict[str, Any] = {
    "select_metric": "SR",
    "optimiser": OptimiserConfig(name="rmsprop", learning_rate=1e-4, clip="norm", clip_at=40.0),
    "reinforcement": ReinforcementConfig(weight=1.0, discount=0.9, value=0.5, entropy=0.01),
    "follower": FollowerConfig(
        embedding_size=256,
        hidden_size=512,
        action_size=64,
        dropout=0.5,
        standardise=False,
        feature_dropout=0.3,
        feature_dropout_kind="element",
    ),
}
_R2R: dict[str, Any] = {
    "dataset": "r2r",
    "max_instruction_length": 80,
    "imitation_weight": 0.2,
    "iterations": 80_000,
    "evaluate_every": 100,
}
_ADAM = OptimiserConfig(name="adam", learning_rate=1e-4, clip="norm", clip_at=40.0)
# With ResNet features the original trains for 150,000 iterations. It trains one follower per
# language (--instruction-language).
_RXR: dict[str, Any] = {
    "dataset": "rxr",
    "instruction_language": "en",
    "max_instruction_length": 160,
    "imitation_weight": 0.4,
    "iterations": 200_000,
    "evaluate_every": 1_000,
}
# One follower for all languages. The released code accumulates two batches of 6 per
# update. It has no script without a language representation; then the tokens are subwords.
_CLEAR: dict[str, Any] = {
    **_ANNOTATED,
    "dataset": "rxr",
    "text": TextConfig(tokens="subwords"),
    "batch_size": 12,
    "max_episode_steps": 70,
    "imitation_weight": 0.4,
    "iterations": 1_600_000,
    "evaluate_every": 500,
    "follower": dataclasses.replace(_PUBLISHED_FOLLOWER["follower"], hidden_size=768),
    "clear": ClearConfig(
        tune_language=True,
        language_learning_rate=4e-5,
        tune_visual=True,
        encode_stop=True,
        contrastive_weight=0.2,
        temperature=0.5,
    ),
}
# Speakers read 80 tokens but decode the start token and 120 words (`--maxDecode`). RxR has no
# script for speakers.
_DECODED: dict[Recipe, int] = {"envdrop": 121, "clip-vil-r2r": 121}
# ImageNet and CLIP features have the same hyper-parameters; only their width differs.
RECIPES: dict[Recipe, dict[str, Any]] = {
    "envdrop": _R2R,
    "clip-vil-r2r": _R2R,
    "clip-vil-rxr": _RXR,
    "clear": _CLEAR,
}
# The script has 200,000 iterations, two for each update, and evaluates every 100 of them. RxR has
# no script for back-translation.
_TRANSLATED: dict[str, Any] = {"iterations": 100_000, "evaluate_every": 50}
_RELEASED_PATHS = 180_000


def preset(
    dataset: Dataset,
    world: World,
    recipe: Recipe | None = None,
    translated: bool = False,
    continued: bool = False,
) -> TrainConfig:
    """Return the default settings of a follower.

    Args:
        dataset: Dataset of instructions; ignored with a recipe, which has its own.
        world: Set of buildings.
        recipe: Published settings.
        translated: Whether the run has back-translation.
        continued: Whether the run starts from the follower of a run on the same data.

    Raises:
        UserError: The recipe has no back-translation.
    """
    if recipe == "clear" and translated:
        raise UserError(
            "--preset clear has no back-translation; omit --back-translation.speaker, or choose "
            "another preset"
        )
    if recipe is not None:
        values = {**_PUBLISHED, **_PUBLISHED_FOLLOWER, **RECIPES[recipe]}
        config = TrainConfig(preset=recipe, world=world, **values)
        return _with_translation(config) if translated else config
    config = TrainConfig(dataset=dataset, world=world, **_DATASETS[dataset], **_LEARNING[dataset])
    reinforced = dataclasses.replace(config, reinforcement=ReinforcementConfig(weight=1.0))
    if world == "matterport":
        follower = dataclasses.replace(reinforced.follower, read_states=True)
        return dataclasses.replace(reinforced, follower=follower)
    is_large = world == "houses-standard"
    # In the houses, imitation alone learns fastest; reinforcement then improves the follower.
    if translated or continued:
        config = reinforced
    else:
        feedback = (_STANDARD_FEEDBACK if is_large else _HOUSES_FEEDBACK).get(dataset, {})
        config = dataclasses.replace(config, imitation_weight=1.0, **feedback)
    values = _HOUSES | (_STANDARD if is_large else {})
    if continued:
        values |= _HOUSES_CONTINUED | (_STANDARD_CONTINUED if is_large else {})
    return dataclasses.replace(
        config,
        **values,
        follower=_STANDARD_FOLLOWER if is_large else _HOUSES_FOLLOWER,
    )


def follower_defaults(
    dataset: Dataset, world: World, recipe: Recipe | None, flag: Callable[[str], str | None]
) -> TrainConfig:
    """Return the settings of a follower without flags, see `AgentSpec.defaults`.

    They depend on back-translation, and on whether the run starts from one on the same data.

    Raises:
        FileNotFoundError: --start-from does not name a run.
        UserError: The recipe has no back-translation.
    """
    translated = flag("back-translation.speaker") is not None
    return preset(dataset, world, recipe, translated, continues(flag, dataset, world))


def continues(flag: Callable[[str], str | None], dataset: Dataset, world: World) -> bool:
    """Return whether --start-from names a run on the same data."""
    start = flag("start-from")
    if start is None:
        return False
    config = read_agent_config(Path(start))
    return (config.dataset, config.world) == (dataset, world)


def speaker_preset(
    dataset: Dataset, world: World, recipe: Recipe | None = None
) -> SpeakerTrainConfig:
    """Return the default settings of a speaker; arguments are those of `preset`.

    Raises:
        UserError: The recipe has no speaker.
    """
    if recipe == "clear":
        raise UserError("--preset clear has no speaker; choose another preset")
    if recipe is not None:
        data = {name: value for name, value in RECIPES[recipe].items() if name in _SHARED}
        return SpeakerTrainConfig(
            preset=recipe,
            world=world,
            teacher="shortest",
            **{**_PUBLISHED, **data, "iterations": 80_000, "evaluate_every": 500},
            optimiser=_ADAM,
            max_decoded_length=_DECODED.get(recipe),
            speaker=SpeakerConfig(
                embedding_size=256,
                hidden_size=512,
                dropout=0.6,
                standardise=False,
                feature_dropout=0.3,
                feature_dropout_kind="element",
            ),
        )
    data = {name: value for name, value in _DATASETS[dataset].items() if name in _SHARED}
    config = SpeakerTrainConfig(dataset=dataset, world=world, optimiser=_ADAM, **data)
    if world == "matterport":
        return config
    return dataclasses.replace(
        config,
        **_HOUSES | {"iterations": 3_000, "evaluate_every": 500},
        speaker=_HOUSES_SPEAKER,
    )


def _with_translation(config: TrainConfig) -> TrainConfig:
    """Return the second stage of a recipe: back-translation with a higher feature dropout."""
    return dataclasses.replace(
        config,
        **_TRANSLATED,
        follower=dataclasses.replace(config.follower, feature_dropout=0.4),
        back_translation=BackTranslationConfig(
            imitation_weight=0.6, paths=_RELEASED_PATHS, dropout="batch"
        ),
    )


def parse_speaker(arguments: Sequence[str], description: str | None = None) -> SpeakerTrainConfig:
    """Return the settings of a speaker's training from its command line."""
    return parse_training(SpeakerTrainConfig, speaker_preset, arguments, description)

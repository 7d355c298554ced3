"""Default settings by dataset and world, and published settings, from `presets.toml`.

The published ones have the hyper-parameters of the released scripts of EnvDrop, CLIP-ViL and CLEAR.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from clipnav.agents.envdrop.settings import (
    Recipe,
    SpeakerTrainConfig,
    TrainConfig,
)
from clipnav.agents.settings import RunConfig, read_agent_config
from clipnav.agents.settings.command_line import parse_training
from clipnav.envs.worlds import World
from clipnav.storage.errors import UserError
from clipnav.training.presets import read_presets

Config = TypeVar("Config", bound=RunConfig)

_FILE = Path(__file__).with_name("presets.toml")


def preset(
    dataset: str,
    world: World,
    recipe: Recipe | None = None,
    translated: bool = False,
    continued: bool = False,
) -> TrainConfig:
    """Return the default settings of a follower.

    Args:
        recipe: Published settings.
    """
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

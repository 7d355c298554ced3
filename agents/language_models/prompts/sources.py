"""Sources of pictures and descriptions of views."""

from collections.abc import Callable

from clipnav.agents.language_models.prompts.pictures import Draw
from clipnav.agents.language_models.settings import EvaluateVlmConfig
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.envs.pictures.world_pictures import shared_pictures
from clipnav.envs.worlds import is_built_in, world_files
from clipnav.storage.errors import UserError


def drawing(config: EvaluateVlmConfig) -> Draw | None:
    """Return a function that draws views; None for prompts without pictures.

    Raises:
        UserError: The world has no pictures.
    """
    return None if config.prompt.picture_kind == "none" else world_drawing(config)


def world_drawing(config: EvaluateVlmConfig) -> Draw:
    """Return a function that draws views of the world.

    Raises:
        UserError: The world has no pictures.
    """
    files = world_files(config.world, config.data_dir)
    pictures = shared_pictures(files, scan_dir=config.scan_dir, size=config.prompt.image_size)
    return lambda view: pictures.rgb([view])[0]


def view_descriptions(config: EvaluateVlmConfig) -> Callable[[ViewPose], str] | None:
    """Return a function that describes views in words; None unless the strategy needs one.

    Raises:
        UserError: The world has no object ids.
    """
    if config.prompt.strategy != "navgpt":
        return None
    if config.prompt.captioner is not None:
        raise UserError(
            f"--captioner {config.prompt.captioner}: only the command clipnav evaluate-vlm loads "
            "captioners; pass `describe` to `prepare` instead"
        )
    if not is_built_in(config.world):
        raise UserError(
            f"--strategy navgpt: world {config.world} has no object ids to describe; name a "
            "--captioner, or use a built-in world or another strategy"
        )
    from clipnav.agents.language_models.prompts.descriptions import HouseDescriptions

    return HouseDescriptions()

"""Pictures of prompts as JPEG files."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from clipnav.agents.language_models.settings import EvaluateVlmConfig
from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
from clipnav.envs.houses.views.captions import with_article
from clipnav.envs.houses.views.view_facts import ThingInView, things_in_view, view_facts
from clipnav.envs.panoramas.cameras import perspective_camera
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.envs.pictures.world_pictures import shared_pictures
from clipnav.envs.worlds import is_built_in, world_files
from clipnav.storage.errors import UserError
from clipnav.storage.features.view_grid import VFOV
from clipnav.storage.pictures import encode_jpeg

QUALITY = 85
_KEPT = 2048  # pictures in memory, of about 5 kB each

Draw = Callable[[ViewPose], np.ndarray]
_SIDE = 64  # pixels
_MOST = 6  # objects in a description
_DESCRIPTIONS, _HOUSES = 4096, 2  # in memory


@dataclass(frozen=True)
class Photo:
    """Picture that an agent has taken."""

    jpeg: bytes


class PromptPictures:
    """Pictures of prompts as JPEG files; those of a world are drawn and kept in memory.

    Args:
        draw: Function that draws a picture (H, W, 3) uint8; None if prompts only contain photos.
    """

    def __init__(self, draw: Draw | None = None) -> None:
        self._draw = draw
        self._drawn = lru_cache(_KEPT)(self._make)

    def jpeg(self, picture: ViewPose | Photo) -> bytes:
        """Return a picture as a JPEG file."""
        return picture.jpeg if isinstance(picture, Photo) else self._drawn(picture)

    def data_uri(self, picture: ViewPose | Photo) -> str:
        """Return a picture as a data URI."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg(picture)).decode()

    def _make(self, view: ViewPose) -> bytes:
        assert self._draw is not None, "a prompt has views, but there is no source of pictures"
        return encode_jpeg(self._draw(view), QUALITY)


class HouseDescriptions:
    """Describes what a camera sees in a built-in house: the room, and objects with distances.

    The words are what a perfect detector would report, see `clipnav.envs.houses.views.view_facts`.
    """

    def __init__(self) -> None:
        self._houses = HousePanoramas()
        self._house = lru_cache(_HOUSES)(self._houses.house)
        self._cached = lru_cache(_DESCRIPTIONS)(self._describe)

    def __call__(self, view: ViewPose) -> str:
        """Describe a view in one sentence."""
        return self._cached(view)

    def _describe(self, view: ViewPose) -> str:
        house, tracer = self._house(view.scan), self._houses.tracer(view.scan)
        camera = perspective_camera((_SIDE, _SIDE), view.heading, view.elevation, VFOV)
        centres = np.arange(_SIDE) + 0.5
        rays = camera(centres[None, :], centres[:, None]).reshape(-1, 3)
        position = self._houses.position(view.scan, view.viewpoint)
        hits = tracer.trace(position, rays, VFOV / _SIDE)
        ids = hits.object_id.reshape(_SIDE, _SIDE)
        depth = hits.distance.reshape(_SIDE, _SIDE)
        objects = house.scene.objects
        facts = view_facts(ids, objects, [room.kind for room in house.plan.rooms], depth)
        things = [thing for thing in things_in_view(ids, objects, depth) if thing.is_clear]
        things.sort(key=lambda thing: -thing.area)
        seen = ", ".join(map(_words, things[:_MOST])) or "bare walls"
        return f"{with_article(facts.room)}: {seen}" if facts.room else seen


def _words(thing: ThingInView) -> str:
    name = with_article(f"{thing.colour} {thing.category}".strip())
    return name if np.isnan(thing.distance) else f"{name} at {thing.distance:.1f} m"


def drawing(config: EvaluateVlmConfig) -> Draw | None:
    """Return a function that draws views; None for prompts without pictures."""
    return None if config.prompt.picture_kind == "none" else world_drawing(config)


def world_drawing(config: EvaluateVlmConfig) -> Draw:
    """Return a function that draws views of the world."""
    files = world_files(config.world, config.data_dir)
    pictures = shared_pictures(files, scan_dir=config.scan_dir, size=config.prompt.image_size)
    return lambda view: pictures.rgb([view])[0]


def view_descriptions(config: EvaluateVlmConfig) -> Callable[[ViewPose], str] | None:
    """Return a function that describes views in words; None unless the strategy needs one."""
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
    from clipnav.agents.language_models.prompts.pictures import HouseDescriptions

    return HouseDescriptions()

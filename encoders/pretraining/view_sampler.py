"""Random captioned views of rendered houses to train the house CLIP; fixed views to test it.

A training view differs from those of feature extraction in heading, elevation, field of view,
mirroring, brightness and tint. Its facts are read from the same pixels of the object-id panorama,
so they remain true: a mirrored view has left and right swapped.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from clipnav.encoders.pretraining.contrastive import CaptionBatch
from clipnav.envs.graphs import wrap_angle
from clipnav.envs.houses.rendering.training_panoramas import HousePictures
from clipnav.envs.houses.views.captions import contradict, sample_caption
from clipnav.envs.houses.views.view_facts import Fact, ViewFacts, view_facts
from clipnav.storage.features.view_grid import NUM_VIEWS, STEP, VFOV, VIEW_ELEVATIONS, VIEW_HEADINGS
from clipnav.training.streams import Stream

_ID_STRIDE = 2  # facts are read from every second row and column
_CAMERAS = 256  # cameras (elevation, field of view) drawn once; headings are drawn for each view


@dataclass(frozen=True)
class SamplerConfig:
    """Distribution of training views and their captions."""

    views: int = 64
    """Number of views in a batch."""
    views_per_panorama: int = 4
    """Number of views cut from one panorama, whose conversion costs as much as several views."""
    captions_per_view: int = 8
    """Number of captions drawn for each view; duplicates in a batch are merged. A caption costs a
    fraction of a view and is contrasted with all views of the batch."""
    contradictions: float = 0.5
    """Share of captions for which a negative is added that differs in one colour, side or distance
    only."""
    vfov_degrees: tuple[float, float] = (48.0, 75.0)
    """Range of the vertical field of view in degrees."""
    elevation_jitter_degrees: float = 8.0
    """Maximum deviation from the three elevations of the 36 views, in degrees."""
    level_share: float = 0.5
    """Share of views at the middle elevation; the others look up or down."""
    recoloured: float = 0.3
    """Share of views with permuted colour channels, whose captions mention no colour. They prevent
    the model from recognising rooms by the paint and fabrics of the few training houses."""


class ViewSampler:
    """Sampler of batches for `clipnav.encoders.pretraining.contrastive`, or of their views only.

    Batch n depends on the seed and on n only.
    """

    def __init__(
        self,
        houses: Sequence[HousePictures],
        image_size: int,
        seed: int = 0,
        config: SamplerConfig | None = None,
    ) -> None:
        self._houses = houses
        self._size = image_size
        self._seed = seed
        self._config = config or SamplerConfig()
        self._first = np.concatenate([[0], np.cumsum([len(house.rgb) for house in houses])])
        # Cameras with heading 0: pixel directions (_CAMERAS, size, size, 2).
        drawn, camera_rng = self._config, Stream.VIEW_CAMERAS.rng(seed)
        side = (1 - drawn.level_share) / 2
        band = camera_rng.choice([-1, 0, 1], size=_CAMERAS, p=[side, drawn.level_share, side])
        jitter = camera_rng.uniform(-1, 1, _CAMERAS) * np.radians(drawn.elevation_jitter_degrees)
        vfov = np.radians(camera_rng.uniform(*drawn.vfov_degrees, _CAMERAS))
        elevation = band * STEP + jitter
        self._cameras = view_directions(np.zeros(_CAMERAS), elevation, vfov, image_size)

    def batch(self, index: int) -> CaptionBatch:
        """Draw a batch of views and captions, with the truth value of each pair."""
        images, facts, rng = self.views(index)
        captions = [
            sample_caption(view, rng)
            for view in facts
            for _ in range(self._config.captions_per_view)
        ]
        contradicted = rng.random(len(captions)) < self._config.contradictions
        negatives = [contradict(captions[row], rng) for row in np.flatnonzero(contradicted)]
        captions += [negative for negative in negatives if negative is not None]
        stated = {caption.text: caption.facts for caption in captions}
        true, false = truth(facts, list(stated.values()))
        return CaptionBatch(images, list(stated), torch.from_numpy(true), torch.from_numpy(false))

    def views(self, index: int) -> tuple[torch.Tensor, list[ViewFacts], np.random.Generator]:
        """Draw views (B, 3, size, size) of a batch; return them, their facts and the generator."""
        rng = Stream.VIEWS.rng(self._seed, index)
        size, each = self._size, self._config.views_per_panorama
        images, facts = torch.empty(self._config.views, 3, size, size), []
        for start in range(0, self._config.views, each):
            choice = int(rng.integers(self._first[-1]))
            house_index = int(np.searchsorted(self._first, choice, side="right")) - 1
            panorama = choice - int(self._first[house_index])
            part = images[start : start + each]
            facts += self._draw_views(self._houses[house_index], panorama, rng, part)
        return images, facts, rng

    def _draw_views(
        self, house: HousePictures, panorama: int, rng: np.random.Generator, images: torch.Tensor
    ) -> list[ViewFacts]:
        """Fill `images` (n, 3, size, size) with views of a panorama; return their facts."""
        count = len(images)
        directions = self._cameras[rng.integers(_CAMERAS, size=count)]
        directions[..., 0] += rng.uniform(-np.pi, np.pi, count)[:, None, None]
        directions[..., 0] -= 2 * np.pi * np.round(directions[..., 0] / (2 * np.pi))
        flipped = rng.random(count) < 0.5
        directions[flipped] = directions[flipped, :, ::-1]
        images.copy_(sample_pixels(house.rgb[panorama], directions))
        recoloured = rng.random(count) < self._config.recoloured
        tint(images, recoloured, rng)
        facts = _facts_of_views(house, panorama, directions)
        return [
            view.without_colours() if is_recoloured else view
            for view, is_recoloured in zip(facts, recoloured, strict=True)
        ]


def truth(
    facts: Sequence[ViewFacts], stated: Sequence[tuple[Fact, ...]]
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the truth value of every caption for every view.

    Returns:
        Two bool arrays (B, T): whether all stated facts hold, and whether one certainly does not.
    """
    column = {fact: n for n, fact in enumerate(sorted({f for caption in stated for f in caption}))}
    states = np.zeros((len(stated), len(column)), np.float32)
    for row, caption in enumerate(stated):
        states[row, [column[fact] for fact in caption]] = 1
    holds = np.zeros((len(facts), len(column)), np.float32)
    may_hold = np.zeros_like(holds)
    for row, view in enumerate(facts):
        holds[row, [column[fact] for fact in view.holds if fact in column]] = 1
        may_hold[row, [column[fact] for fact in view.may_hold if fact in column]] = 1
    total = states.sum(1)
    return holds @ states.T == total, may_hold @ states.T < total


def extraction_views(
    house: HousePictures, image_size: int
) -> Iterator[tuple[np.ndarray, list[ViewFacts]]]:
    """Yield the 36 views of each viewpoint of a house, as in feature extraction, with their facts.

    Yields:
        Views (36, H, W, 3) uint8, and the facts of the 36 views.
    """
    vfov = np.full(NUM_VIEWS, VFOV)
    directions = view_directions(VIEW_HEADINGS, VIEW_ELEVATIONS, vfov, image_size)
    for panorama in range(house.viewpoints):
        images = sample_pixels(house.rgb[panorama], directions)
        pixels = (images.permute(0, 2, 3, 1) * 255).round().clamp(0, 255)
        yield pixels.numpy().astype(np.uint8), _facts_of_views(house, panorama, directions)


def view_directions(
    heading: np.ndarray, elevation: np.ndarray, vfov: np.ndarray, size: int
) -> np.ndarray:
    """Compute heading and elevation of each pixel of N square views.

    Args:
        heading: (N,) radians clockwise from +y.
        elevation: (N,) radians above the horizon.
        vfov: (N,) vertical field of view in radians.

    Returns:
        (N, size, size, 2) float32 radians; headings in -pi..pi.
    """
    offset = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    reach = np.tan(vfov / 2).astype(np.float32)[:, None, None]
    x = reach * offset[None, None, :]
    y = -reach * offset[None, :, None]
    sine, cosine = (f(elevation).astype(np.float32)[:, None, None] for f in (np.sin, np.cos))
    forward, up = cosine - y * sine, sine + y * cosine
    azimuth = np.arctan2(x, forward) + heading.astype(np.float32)[:, None, None]
    azimuth = wrap_angle(azimuth)
    return np.stack([azimuth, np.arctan2(up, np.hypot(x, forward))], axis=-1)


def sample_pixels(panorama: np.ndarray, directions: np.ndarray) -> torch.Tensor:
    """Sample a panorama (H, 2H, 3) uint8 in directions (N, h, w, 2): (N, 3, h, w) in 0..1."""
    image = torch.from_numpy(np.array(panorama)).permute(2, 0, 1)[None].float().div_(255)
    # At the seam of the panorama the outer half pixels are repeated instead of interpolated.
    grid = torch.from_numpy(directions * np.array([1 / np.pi, -2 / np.pi], np.float32))
    count, height = grid.shape[:2]
    flat = F.grid_sample(
        image, grid.reshape(1, count * height, -1, 2), padding_mode="border", align_corners=False
    )
    return flat.reshape(3, count, height, -1).transpose(0, 1)


def _facts_of_views(house: HousePictures, panorama: int, directions: np.ndarray) -> list[ViewFacts]:
    """Return the facts of views with pixel directions (N, h, w, 2) in a panorama."""
    height, width = house.object_id.shape[1:]
    half = _ID_STRIDE // 2
    sparse = directions[:, half::_ID_STRIDE, half::_ID_STRIDE]
    column = ((sparse[..., 0] + np.pi) / (2 * np.pi) * width).astype(np.int64) % width
    row = ((np.pi / 2 - sparse[..., 1]) / np.pi * height).astype(np.int64).clip(0, height - 1)
    ids = np.asarray(house.object_id[panorama])[row, column].astype(np.int32)
    depth = np.asarray(house.depth[panorama])[row, column].astype(np.float32)
    return [
        view_facts(view_ids, house.objects, house.room_kinds, view_depth)
        for view_ids, view_depth in zip(ids, depth, strict=True)
    ]


def tint(images: torch.Tensor, recoloured: np.ndarray, rng: np.random.Generator) -> None:
    """Vary brightness, contrast and tint in place; permute the channels of recoloured views."""
    for image, is_recoloured in zip(images, recoloured, strict=True):
        gain = rng.uniform(0.8, 1.2) * rng.uniform(0.95, 1.05, 3)
        if is_recoloured:
            image.copy_(image[torch.from_numpy(rng.permutation(3))])
            gain *= rng.uniform(0.7, 1.3, 3)
        contrast = rng.uniform(0.85, 1.15)
        middle = float(image.mean())
        gain = torch.from_numpy((gain * contrast).astype(np.float32)).view(3, 1, 1)
        image.sub_(middle).mul_(gain).add_(middle * rng.uniform(0.85, 1.15)).clamp_(0, 1)

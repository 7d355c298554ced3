"""Sources of image features by image id: computed by CLIP, read from the cache, or blind."""

import logging
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np
import torch

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.extraction.prefetch import prefetched
from clipnav.storage import cache_dir
from clipnav.storage.errors import UserError
from clipnav.storage.progress import progress_bar
from clipnav.training.distributed import check_device
from clipnav.training.interruption import interruption_message
from clipnav.vl_tasks.data.images import image_version, read_image
from clipnav.vl_tasks.grids.encoders import load_encoder
from clipnav.vl_tasks.grids.grid_cache import GridCache
from clipnav.vl_tasks.grids.grids import Grids, GridScale
from clipnav.vl_tasks.settings.networks import GridConfig
from clipnav.vl_tasks.settings.runs import FrozenEncoderConfig
from clipnav.vl_tasks.subsets import evenly_spaced

Kind = Literal["grid", "dense", "pooled"]

_LOG = logging.getLogger(__name__)

_SHARD = 512  # images per file of the cache, a multiple of _STEP
_STEP = 32  # images per call of the encoder
_DECODERS = 2  # threads that decode images
# Maximum number of images that a scale is fitted to; fewer, but at least _FITTED_MIN, if their
# features are more than _FITTED_VALUES numbers.
_FITTED, _FITTED_MIN, _FITTED_VALUES = 500, 16, 1 << 27


class Source(Protocol):
    """Source of the features of images by id."""

    def batch(self, ids: Sequence[Any]) -> Grids:
        """Return the features of B images."""
        ...


class GridSource:
    """Grid features by image id."""

    def __init__(
        self,
        encoder: ClipEncoder,
        images: Mapping[Any, Path],
        config: GridConfig,
        cache: Path | None = None,
        kind: Kind = "grid",
        prefix: str = "",
    ) -> None:
        self.encoder = encoder
        self.images = images
        self.kind = kind
        self._config = config
        self._keys: dict[Any, str] = {}
        self._cache: GridCache | None = None
        # Without a cache: ids, grids and masks of the last batch.
        self._latest: tuple[list[Any], np.ndarray, np.ndarray] | None = None
        if cache is not None:
            self._cache = GridCache(cache / self.key, self.key, prefix)

    @property
    def channels(self) -> int:
        """Number of channels C."""
        return self.batch([next(iter(self.images))]).features.shape[2]

    @property
    def metadata(self) -> dict[str, str]:
        """Settings that must be equal when a trained model is used again, by name."""
        size, fit = self._config.image_size or "default", self._config.fit
        return {"encoder": self.encoder.weights_sha256, "picture size": str(size), "fit": fit}

    @property
    def key(self) -> str:
        """Settings that the grids depend on: encoder, precision, size, fit and kind."""
        config = self._config
        size = "x".join(map(str, config.image_size or ("default",)))
        encoder = f"{self.encoder.weights_sha256[:16]}-{self.encoder.precision}"
        suffix = "" if self.kind == "grid" else f"-{self.kind}"
        return f"{encoder}-{size}-{config.fit}{suffix}"

    def __getitem__(self, image_id: Hashable) -> np.ndarray:
        """Return the unmasked grid cells (N, C) float32 of an image."""
        grids = self.batch([image_id])
        return grids.features[0][grids.mask[0]].numpy()

    def batch(self, ids: Sequence[Any]) -> Grids:
        """Return the grids of B images."""
        if self._cache is None:
            grids, mask = self._computed(ids)
        else:
            self._fill([one for one in ids if self._key_of(one) not in self._cache], bar=False)
            grids, mask = self._cache.read([self._key_of(one) for one in ids])
        features = torch.from_numpy(grids).flatten(1, 2).float()
        return Grids(features, torch.from_numpy(mask).flatten(1), grids.shape[1:3])

    def prepare(self, skip_damaged: bool = False) -> list[Path]:
        """Encode all images that are not in the cache, with a progress bar; no-op without a cache.

        If another process fills the same cache, wait for it, then encode the remaining images.
        """
        if self._cache is None or not self._missing():
            return []
        folder = self._cache.folder
        with (
            self._cache.locked(),
            interruption_message(
                lambda: f"Encoded features are kept in {folder}; run the same command to resume"
            ),
        ):
            missing = self._missing()
            return self._fill(missing, bar=bool(missing), skip_damaged=skip_damaged)

    def _missing(self) -> list[Any]:
        """Return the ids of the images that are not in the cache."""
        assert self._cache is not None
        return [one for one in self.images if self._key_of(one) not in self._cache]

    def _fill(self, ids: Sequence[Any], bar: bool, skip_damaged: bool = False) -> list[Path]:
        """Encode images into the cache and return the damaged files.

        Each file contains `_SHARD` readable images in the order of the ids, whatever was skipped,
        so that a resumed run writes the same files as an uninterrupted one.
        """
        assert self._cache is not None
        distinct = {self._key_of(one): self.images[one] for one in ids}
        damaged: list[Path] = []
        shard: list[str] = []
        encoded: list[tuple[np.ndarray, np.ndarray]] = []
        with progress_bar(
            total=len(distinct), desc="encoding", unit="images", disable=not bar
        ) as progress:
            steps = _decoded(distinct, damaged if skip_damaged else None)
            for step, (keys, images) in enumerate(steps):
                grids, mask = self._encode_images(images)
                # In the half precision of the cache, as a file needs gigabytes otherwise.
                with np.errstate(over="ignore"):  # the cache refuses infinities
                    encoded.append((grids.astype(np.float16), mask))
                if step == 0:
                    self._cache.check_disk_space(len(distinct), *encoded[0])
                shard += keys
                progress.update(len(keys))
                if len(shard) == _SHARD:
                    self._cache.add(shard, *_stacked(encoded))
                    shard, encoded = [], []
        if shard:
            self._cache.add(shard, *_stacked(encoded))
        return damaged

    def _computed(self, ids: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return grids and masks of B images; each distinct image is encoded once.

        The result is kept for the next call, which often has the same ids.
        """
        row_of = {one: row for row, one in enumerate(dict.fromkeys(ids))}
        if self._latest is None or self._latest[0] != list(row_of):
            images = [read_image(self.images[one]) for one in row_of]
            self._latest = list(row_of), *self._encode_images(images)
        rows = [row_of[one] for one in ids]
        return self._latest[1][rows], self._latest[2][rows]

    def _encode_images(self, images: list[Any]) -> tuple[np.ndarray, np.ndarray]:
        size, fit = self._config.image_size, self._config.fit
        if self.kind == "pooled":
            pooled = self.encoder.pooled(images, size, fit)
            return pooled[:, None, None], np.ones((len(pooled), 1, 1), bool)
        encode = self.encoder.masked_dense if self.kind == "dense" else self.encoder.masked_grid
        return encode(images, size, fit)

    def _key_of(self, image_id: Any) -> str:
        if image_id not in self._keys:
            self._keys[image_id] = image_version(self.images[image_id])
        return self._keys[image_id]


class BlindSource:
    """Source of a blind model: one grid cell of zeros per image."""

    channels = 1
    metadata: Mapping[str, str] = MappingProxyType({"encoder": "none"})

    def batch(self, ids: Sequence[Any]) -> Grids:
        """Return zeros (B, 1, 1)."""
        return Grids(torch.zeros(len(ids), 1, 1), torch.ones(len(ids), 1, dtype=torch.bool), (1, 1))


def open_source(
    config: FrozenEncoderConfig, images: Mapping[Any, Path], kind: Kind = "grid"
) -> GridSource | BlindSource:
    """Return the features of the images of a run; encode them now if the cache is enabled."""
    if not config.vision:
        return BlindSource()
    encoder = load_encoder(config.grids, config.device)
    folder = cache_dir() / "grids" if config.grids.keep else None
    source = GridSource(encoder, images, config.grids, folder, kind)
    source.prepare()
    return source


def uncached_source(
    config: FrozenEncoderConfig, images: Mapping[Any, Path], device: str
) -> GridSource | BlindSource:
    """Return the features of any images for the model of a run, without the cache."""
    check_device(device)
    if not config.vision:
        return BlindSource()
    return GridSource(load_encoder(config.grids, device), images, config.grids)


def fit_scale(scale: GridScale, source: Source, ids: Sequence[Any]) -> None:
    """Fit a scale to a subset of the images, evenly spaced in the order of the ids."""
    values = source.batch(ids[:1]).features[0].numel()
    most = min(_FITTED, max(_FITTED_MIN, _FITTED_VALUES // values))
    scale.fit(source.batch([ids[k] for k in evenly_spaced(len(ids), most)]))


def _decoded(
    paths: Mapping[str, Path], damaged: list[Path] | None
) -> Iterator[tuple[list[str], list[Any]]]:
    """Yield keys and images of each step; the next steps are decoded in the background."""

    def read(path: Path) -> Any:
        try:
            return read_image(path)
        except UserError as error:
            if damaged is None:
                raise
            _LOG.warning("skipped %s", error)
            return None

    with ThreadPoolExecutor(_DECODERS) as pool:
        keys: list[str] = []
        step: list[Any] = []
        decoded = prefetched(pool, read, paths.values(), ahead=2 * _STEP)
        for (key, path), image in zip(paths.items(), decoded, strict=True):
            if image is None:
                assert damaged is not None
                damaged.append(path)
                continue
            keys.append(key)
            step.append(image)
            if len(step) == _STEP:
                yield keys, step
                keys, step = [], []
        if step:
            yield keys, step


def _stacked(encoded: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate the grids and masks of several steps, padded to the largest grid."""
    height, width = (max(mask.shape[axis] for _, mask in encoded) for axis in (1, 2))
    count, channels = sum(len(mask) for _, mask in encoded), encoded[0][0].shape[3]
    grids = np.zeros((count, height, width, channels), encoded[0][0].dtype)
    masks = np.zeros((count, height, width), bool)
    start = 0
    for step_grids, mask in encoded:
        target = np.s_[start : start + len(mask), : mask.shape[1], : mask.shape[2]]
        grids[target], masks[target] = step_grids, mask
        start += len(mask)
    return grids, masks

"""Where models see pictures: grids of CLIP features by image id, worked out or kept on disk."""

import logging
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np
import torch

from encoders.clip import ClipEncoder
from encoders.extraction.prefetch import prefetched
from storage import cache_dir
from storage.progress import progress_bar
from training.devices import check_device
from training.interruption import interruption_message
from vl_tasks.data.images import read_image
from vl_tasks.grids.encoders import load_encoder
from vl_tasks.grids.grid_cache import GridCache
from vl_tasks.grids.grids import Grids, GridScale
from vl_tasks.settings.configs import GridConfig, RunConfig

What = Literal["grid", "dense", "pooled"]

_LOG = logging.getLogger(__name__)

_SHARD = 512  # pictures in a file of the cache, a multiple of those in a step
_STEP = 32  # pictures that are encoded at once
_DECODERS = 2
# Pictures that a scale is fitted to, and fewer if their numbers are more than memory should hold.
_FITTED, _FITTED_FEWEST, _FITTED_NUMBERS = 500, 16, 1 << 27


class Source(Protocol):
    """Gives what is seen of pictures by their ids."""

    def batch(self, ids: Sequence[Any]) -> Grids:
        """Give what is seen of B pictures."""
        ...


class GridSource:
    """Grids by image id.

    Args:
        encoder: What sees.
        images: File of each picture by its id.
        config: At which size.
        cache: Folder of grids on disk; None works them out each time.
        what: Features of places before pooling, of places in the space of texts, or of whole
            pictures, whose grid is a single place.
        prefix: Of the cache's files, see `GridCache`.
    """

    def __init__(
        self,
        encoder: ClipEncoder,
        images: Mapping[Any, Path],
        config: GridConfig,
        cache: Path | None = None,
        what: What = "grid",
        prefix: str = "",
    ) -> None:
        self.encoder = encoder
        self.images = images
        self.what = what
        self._config = config
        self._rows: dict[Any, str] = {}
        self._cache: GridCache | None = None
        # Where nothing is kept, the pictures of the last batch with their grids and masks.
        self._latest: tuple[list[Any], np.ndarray, np.ndarray] | None = None
        if cache is not None:
            self._cache = GridCache(cache / self.key, self.key, prefix)

    @property
    def channels(self) -> int:
        """C."""
        return self.batch([next(iter(self.images))]).features.shape[2]

    @property
    def metadata(self) -> dict[str, str]:
        """What a model must see alike to be used again, by name."""
        size, fit = self._config.size or "own", self._config.fit
        return {"encoder": self.encoder.weights_sha256, "picture size": str(size), "fit": fit}

    @property
    def key(self) -> str:
        """What grids depend on besides the picture: weights, precision, size, fit and kind."""
        config = self._config
        size = "own" if config.size is None else f"{config.size[0]}x{config.size[1]}"
        encoder = f"{self.encoder.weights_sha256[:16]}-{self.encoder.precision}"
        kind = "" if self.what == "grid" else f"-{self.what}"
        return f"{encoder}-{size}-{config.fit}{kind}"

    def __getitem__(self, image_id: Hashable) -> np.ndarray:
        """Grid (h * w, C) float32 of a picture, real places only."""
        grids = self.batch([image_id])
        return grids.features[0][grids.mask[0]].numpy()

    def batch(self, ids: Sequence[Any]) -> Grids:
        """Grids of B pictures.

        Raises:
            KeyError: An id is unknown.
            FileNotFoundError: A picture is not there.
            ValueError: A picture cannot be read.
        """
        if self._cache is None:
            found, mask = self._worked_out(ids)
        else:
            self._fill([one for one in ids if self._row(one) not in self._cache], bar=False)
            found, mask = self._cache.read([self._row(one) for one in ids])
        features = torch.from_numpy(found).flatten(1, 2).float()
        return Grids(features, torch.from_numpy(mask).flatten(1), found.shape[1:3])

    def prepare(self, skip_damaged: bool = False) -> list[Path]:
        """Encode what is not on disk yet, with a bar; nothing where nothing is kept.

        Waits where another process is at it, and then encodes what that one has left out.

        Args:
            skip_damaged: Leave out pictures that cannot be read.

        Returns:
            Those that were left out.

        Raises:
            ValueError: A picture cannot be read; names it. What was encoded before stays.
            OSError: The disk has too little room for what is missing.
        """
        if self._cache is None:
            return []
        if not self._missing():
            return []
        folder = self._cache.folder
        with (
            self._cache.only_writer(),
            interruption_message(
                lambda: f"What is encoded is kept in {folder}; the same command goes on"
            ),
        ):
            missing = self._missing()
            return self._fill(missing, bar=bool(missing), skip_damaged=skip_damaged)

    def _missing(self) -> list[Any]:
        """Pictures that are not in the cache."""
        assert self._cache is not None
        return [one for one in self.images if self._row(one) not in self._cache]

    def _fill(self, ids: Sequence[Any], bar: bool, skip_damaged: bool = False) -> list[Path]:
        """Encode pictures into the cache.

        Files hold `_SHARD` readable pictures in the order of the ids, whatever was left out, so
        that a run that goes on after a kill writes the files that it would have written.
        """
        assert self._cache is not None
        distinct = {self._row(one): self.images[one] for one in ids}
        damaged: list[Path] = []
        shard: list[str] = []
        encoded = []
        with progress_bar(
            total=len(distinct), desc="encoding", unit="images", disable=not bar
        ) as progress:
            steps = _decoded(distinct, damaged if skip_damaged else None)
            for step, (rows, pictures) in enumerate(steps):
                encoded.append(self._encode_images(pictures))
                if step == 0:
                    self._cache.check_room(len(distinct), *encoded[0])
                shard += rows
                progress.update(len(rows))
                if len(shard) == _SHARD:
                    self._cache.add(shard, *_stacked(encoded))
                    shard, encoded = [], []
        if shard:
            self._cache.add(shard, *_stacked(encoded))
        return damaged

    def _worked_out(self, ids: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Grids and masks of B pictures, each encoded once, and not again in the next call."""
        places = {one: place for place, one in enumerate(dict.fromkeys(ids))}
        if self._latest is None or self._latest[0] != list(places):
            pictures = [read_image(self.images[one]) for one in places]
            self._latest = list(places), *self._encode_images(pictures)
        rows = [places[one] for one in ids]
        return self._latest[1][rows], self._latest[2][rows]

    def _encode_images(self, pictures: list[Any]) -> tuple[np.ndarray, np.ndarray]:
        size, fit = self._config.size, self._config.fit
        if self.what == "pooled":
            pooled = self.encoder.pooled(pictures, size, fit)
            return pooled[:, None, None], np.ones((len(pooled), 1, 1), bool)
        encode = self.encoder.masked_dense if self.what == "dense" else self.encoder.masked_grid
        return encode(pictures, size, fit)

    def _row(self, image_id: Any) -> str:
        """Key in the cache: a picture that changes its place, size or time is another one."""
        if image_id not in self._rows:
            path = self.images[image_id].resolve()
            try:
                found = path.stat()
                self._rows[image_id] = f"{path}:{found.st_size}:{found.st_mtime_ns}"
            except OSError:
                raise FileNotFoundError(f"{path}: there is no such picture") from None
        return self._rows[image_id]


class BlindSource:
    """Stands in for `GridSource` where nothing shall be seen: one place of zeros a picture."""

    channels = 1
    metadata: Mapping[str, str] = MappingProxyType({"encoder": "none"})

    def batch(self, ids: Sequence[Any]) -> Grids:
        """Zeros (B, 1, 1)."""
        return Grids(torch.zeros(len(ids), 1, 1), torch.ones(len(ids), 1, dtype=torch.bool), (1, 1))

    def prepare(self) -> None:
        """Nothing is to be prepared."""


def open_source(
    config: RunConfig, images: Mapping[Any, Path], what: What = "grid"
) -> GridSource | BlindSource:
    """What a run sees of pictures: their grids, encoded now if they shall be kept, or nothing."""
    if not config.vision:
        return BlindSource()
    encoder = load_encoder(config.grids, config.device)
    folder = cache_dir() / "grids" if config.grids.keep else None
    source = GridSource(encoder, images, config.grids, folder, what)
    source.prepare()
    return source


def pictures_source(
    config: RunConfig, images: Mapping[Any, Path], device: str
) -> GridSource | BlindSource:
    """What the model of a run sees of any pictures; nothing is kept on disk.

    Raises:
        ValueError: There is no such device.
    """
    check_device(device)
    if not config.vision:
        return BlindSource()
    return GridSource(load_encoder(config.grids, device), images, config.grids)


def fit_scale(scale: GridScale, source: Source, ids: Sequence[Any]) -> None:
    """Fit a scale to some of the pictures, evenly spread over them."""
    places = source.batch(ids[:1]).features[0].numel()
    count = min(len(ids), _FITTED, max(_FITTED_FEWEST, _FITTED_NUMBERS // places))
    chosen = np.linspace(0, len(ids) - 1, count).astype(int)
    scale.fit(source.batch([ids[k] for k in chosen]))


def _decoded(
    paths: Mapping[str, Path], damaged: list[Path] | None
) -> Iterator[tuple[list[str], list[Any]]]:
    """Pictures and their keys in steps, decoded while those before are encoded.

    Args:
        paths: By key.
        damaged: Gets those that cannot be read; None makes the first of them an error.
    """

    def read(path: Path) -> Any:
        try:
            return read_image(path)
        except ValueError as error:
            if damaged is None:
                raise
            _LOG.warning("left out %s", error)
            return None

    with ThreadPoolExecutor(_DECODERS) as pool:
        keys: list[str] = []
        step: list[Any] = []
        found = prefetched(pool, read, paths.values(), ahead=2 * _STEP)
        for (key, path), picture in zip(paths.items(), found, strict=True):
            if picture is None:
                assert damaged is not None
                damaged.append(path)
                continue
            keys.append(key)
            step.append(picture)
            if len(step) == _STEP:
                yield keys, step
                keys, step = [], []
        if step:
            yield keys, step


def _stacked(encoded: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Steps of encoded pictures together, padded to the largest."""
    height, width = (max(mask.shape[axis] for _, mask in encoded) for axis in (1, 2))
    grids = []
    masks = []
    for found, mask in encoded:
        border = ((0, 0), (0, height - mask.shape[1]), (0, width - mask.shape[2]))
        grids.append(np.pad(found, (*border, (0, 0))))
        masks.append(np.pad(mask, border))
    return np.concatenate(grids), np.concatenate(masks)

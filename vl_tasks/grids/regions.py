"""Region features of images, which openvqa's models use instead of grid features.

A file of openvqa (bottom-up attention, "COCO_val2014_000000000042.jpg.npz") contains `x` (C, N): N
regions, from 10 to 100, with C = 2048 features each, and their boxes `bbox` (N, 4). openvqa's files
of GQA contain `x` (N, C), and those of grid features no boxes. A file of openai-clip-feature
("42.npz") contains `features` (N, C): the N = 49 grid cells of CLIP.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import torch

from clipnav.storage.bounds import check_expansion
from clipnav.storage.errors import UserError, in_one_line
from clipnav.vl_tasks.data.images import holds_attributes, image_stem
from clipnav.vl_tasks.grids.grids import Grids

Key = TypeVar("Key", int, str)

_MAX_REGIONS = 100  # per image; further regions of a file are ignored
_NUMBER = re.compile(r"(\d+)(?:\.jpg)?\.npz$")
_HINT = (
    "download openvqa's bottom-up features again, or use images with --preset mcan-small-grid or "
    "--regions None"
)


class RegionSource:
    """Region features by image id, as grids with a single row.

    Args:
        in_rows: Whether `x` contains a region per row, as in openvqa's files of GQA; in those of
            VQA v2, a region is a column.
    """

    metadata: Mapping[str, str] = MappingProxyType({"encoder": "regions"})

    def __init__(self, files: Mapping[Any, Path], in_rows: bool = False) -> None:
        self.files, self._in_rows = files, in_rows

    @property
    def channels(self) -> int:
        """Number of channels C, read from the first file."""
        return read_regions(next(iter(self.files.values())), self._in_rows).shape[1]

    def batch(self, ids: Sequence[Any]) -> Grids:
        """Read the regions of B images, padded with 0 to the largest number of regions."""
        by_id = {one: read_regions(self.files[one], self._in_rows) for one in dict.fromkeys(ids)}
        width = next(iter(by_id.values())).shape[1]
        for image_id, regions in by_id.items():
            if regions.shape[1] != width:
                raise UserError(
                    f"{self.files[image_id]}: {regions.shape[1]} features per region, but other "
                    f"files have {width}; {_HINT}"
                )
        most = max(len(regions) for regions in by_id.values())
        features = np.zeros((len(ids), most, width), np.float32)
        mask = np.zeros((len(ids), most), bool)
        for row, image_id in enumerate(ids):
            features[row, : len(by_id[image_id])] = by_id[image_id]
            mask[row, : len(by_id[image_id])] = True
        return Grids(torch.from_numpy(features), torch.from_numpy(mask), (1, most))


def read_regions(path: Path, in_rows: bool = False) -> np.ndarray:
    """Read the features of an image, (N, C) float32; for `in_rows` see `RegionSource`.

    Of openvqa's regions, the first 100 are read.
    """
    if path.suffix != ".npz":
        raise UserError(f"{path}: this model uses region features; name the .npz file of the image")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the file of regions does not exist; check its name")
    with path.open("rb") as opened:
        try:
            file = np.load(opened)
            check_expansion(sum(m.file_size for m in file.zip.infolist()), path.stat().st_size)
            name = "features" if "features" in file.files else "x"
            features = np.asarray(file[name], np.float32)
            count = None  # number of regions by the boxes of openvqa's file
            if name == "x" and "bbox" in file and (boxes := file["bbox"]).ndim == 2:
                count = len(boxes)
            elif name == "x" and "num_bbox" in file and (number := file["num_bbox"]).size == 1:
                count = int(number.item())
        except Exception as error:  # NumPy and zipfile raise almost any type on damaged bytes
            problem = in_one_line(error)
            raise UserError(f"{path}: cannot be read as features ({problem}); {_HINT}") from error
    in_rows = in_rows or name == "features"
    if features.ndim != 2 or not features.size or not np.isfinite(features).all():
        form = "regions, features" if in_rows else "features, regions"
        raise UserError(f"{path}: {name!r} is not a finite matrix ({form}); {_HINT}")
    if name == "features":
        return features
    regions = features if in_rows else features.T
    # Files whose boxes match neither axis, such as padded ones, are judged by their size.
    assumed, width = regions.shape
    if assumed != count if count in regions.shape else assumed > _MAX_REGIONS >= width:
        found, expected, task = ("column", "row", "GQA") if in_rows else ("row", "column", "VQA v2")
        raise UserError(
            f"{path}: 'x' {features.shape} contains a region per {found}, but this task reads a "
            f"region per {expected}, as in openvqa's files of {task}; transpose 'x' in all files"
        )
    return regions[:_MAX_REGIONS]


def find_regions(folder: Path, wanted: Mapping[int, str]) -> dict[int, Path]:
    """Find region files by the image id at the end of their names."""

    def number(path: Path) -> int | None:
        match = _NUMBER.search(path.name)
        return int(match[1]) if match else None

    return _find(folder, wanted, number)


def find_named_regions(folder: Path, wanted: Mapping[str, str]) -> dict[str, Path]:
    """Find region files by name without suffix, as in GQA: n161313.npz.

    Arguments and errors are as for `find_regions`.
    """
    return _find(folder, wanted, lambda path: image_stem(path.name.removesuffix(".npz")))


def _find(
    folder: Path, wanted: Mapping[Key, str], identify: Callable[[Path], Key | None]
) -> dict[Key, Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: the folder of regions does not exist; {_HINT}")
    found: dict[Key, Path] = {}
    for path in sorted([*folder.glob("*.npz"), *folder.glob("*/*.npz")]):
        image_id = identify(path)
        if image_id is None or image_id not in wanted or holds_attributes(path):
            continue
        if image_id in found:
            raise UserError(
                f"{found[image_id]} and {path} both belong to image {image_id}; keep one of them"
            )
        found[image_id] = path
    missing = [image_id for image_id in wanted if image_id not in found]
    if missing:
        raise FileNotFoundError(
            f"{folder}: no regions of image {missing[0]} of {wanted[missing[0]]}; "
            f"{len(missing)} of {len(wanted)} images have none; {_HINT}"
        )
    return {image_id: found[image_id] for image_id in wanted}

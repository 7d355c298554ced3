"""Region features of images, which openvqa's models use instead of grid features.

A file of openvqa (bottom-up attention, "COCO_val2014_000000000042.jpg.npz") holds `x` (C, N): N
regions, 10 to 100 of them, of C = 2048 features.
"""

import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from vl_tasks.grids.grids import Grids

MOST = 100  # regions of a picture that are seen
_NUMBER = re.compile(r"(\d+)(?:\.jpg)?\.npz$")
_REMEDY = (
    "download openvqa's bottom-up features again, or use images with --preset mcan-small-grid or "
    "--regions None"
)


class RegionSource:
    """Regions by image id, as grids of a single row.

    Args:
        files: File of each picture by its id.
    """

    metadata: Mapping[str, str] = MappingProxyType({"encoder": "regions"})

    def __init__(self, files: Mapping[Any, Path]) -> None:
        self.files = files

    @property
    def channels(self) -> int:
        """C, of the first picture."""
        return read_regions(next(iter(self.files.values()))).shape[1]

    def batch(self, ids: Sequence[Any]) -> Grids:
        """Read the regions of B pictures, padded with 0 to the most that one of them has.

        Raises:
            OSError: A file cannot be opened.
            ValueError: A file is damaged, or two have features of different width.
        """
        distinct = {one: read_regions(self.files[one]) for one in dict.fromkeys(ids)}
        width = next(iter(distinct.values())).shape[1]
        for one, regions in distinct.items():
            if regions.shape[1] != width:
                raise ValueError(
                    f"{self.files[one]}: {regions.shape[1]} features a region, not {width} as "
                    f"others; {_REMEDY}"
                )
        most = max(len(regions) for regions in distinct.values())
        features = np.zeros((len(ids), most, width), np.float32)
        mask = np.zeros((len(ids), most), bool)
        for row, one in enumerate(ids):
            features[row, : len(distinct[one])] = distinct[one]
            mask[row, : len(distinct[one])] = True
        return Grids(torch.from_numpy(features), torch.from_numpy(mask), (1, most))


def read_regions(path: Path) -> np.ndarray:
    """Read the first 100 regions of a picture, (N, C) float32.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is damaged, or holds no features; names it.
    """
    if path.suffix != ".npz":
        raise ValueError(f"{path}: this model sees regions; name the picture's .npz of them")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file of regions")
    try:
        with np.load(path) as file:
            found = np.asarray(file["x"], np.float32)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read as features ({error}); {_REMEDY}") from error
    if found.ndim != 2 or not found.size or not np.isfinite(found).all():
        raise ValueError(f"{path}: 'x' is no finite table (features, regions); {_REMEDY}")
    return found.T[:MOST]


def find_regions(folder: Path, wanted: Mapping[int, str]) -> dict[int, Path]:
    """Find files by the number of the picture at the end of their names.

    Args:
        folder: Where they lie, directly or in folders such as `train2014` below.
        wanted: Image ids, with the record that needs each, for the error.

    Raises:
        FileNotFoundError: The folder, or the file of a picture, is not there.
        ValueError: There are two files of a picture.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder of regions; {_REMEDY}")
    found: dict[int, Path] = {}
    for path in sorted([*folder.glob("*.npz"), *folder.glob("*/*.npz")]):
        match = _NUMBER.search(path.name)
        if match is None or int(match[1]) not in wanted:
            continue
        number = int(match[1])
        if number in found:
            raise ValueError(f"{found[number]} and {path} are both of image {number}; keep one")
        found[number] = path
    missing = [number for number in wanted if number not in found]
    if missing:
        raise FileNotFoundError(
            f"{folder}: no regions of image {missing[0]}, which {wanted[missing[0]]} needs; "
            f"{len(missing)} of {len(wanted)} pictures have none; {_REMEDY}"
        )
    return {number: found[number] for number in wanted}

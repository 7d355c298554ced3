"""Encode the 36 views of every viewpoint of a world into a feature store.

extract_features.py --output envs/houses/data/house_clip_features.safetensors
extract_features.py --encoder RN50 --pretrained openai --output features/rn50.safetensors

A run that was interrupted goes on where it stopped when the same command is given again.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import tyro

if TYPE_CHECKING:
    from envs.panoramas.house_panoramas import HousePanoramas

VFOV_DEGREES = 60


@dataclass(frozen=True)
class ExtractArguments:
    """Encodes viewpoints into one safetensors file."""

    output: Path
    """Where the feature store shall lie."""
    world: Literal["houses"] = "houses"
    """Where the pictures come from; houses that are not in the cache are built."""
    encoder: str = "house_clip"
    """"house_clip", a folder in open_clip's local-dir format, or a name that open_clip knows."""
    pretrained: str | None = None
    """For an open_clip name: a tag such as openai, or a file of weights."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of the encoder; auto is fp16 on a GPU and fp32 on a CPU."""
    scans: tuple[str, ...] = ()
    """Scans to encode; all of the world when empty."""
    width: int = 1024
    """Columns of the panoramas that views are cut from."""
    workers: int = 2
    """Processes that render. The result does not depend on their number."""


def main(arguments: ExtractArguments) -> None:
    """Run the command."""
    from connectivity import read_connectivity, read_scans
    from encoders.clip import ClipEncoder
    from encoders.extraction import encode_viewpoints
    from encoders.feature_store import FeatureStore, feature_key

    encoder = ClipEncoder.load(arguments.encoder, arguments.pretrained, arguments.precision)
    viewpoints = {
        feature_key(scan, record["image_id"]): (scan, record["image_id"])
        for scan in arguments.scans or read_scans()
        for record in read_connectivity(scan)
        if record["included"]
    }

    def load_views(keys: Sequence[str]) -> Iterator[np.ndarray]:
        return rendered_views([viewpoints[key] for key in keys], encoder.image_size, arguments)

    metadata = {
        "world": arguments.world,
        "vfov_degrees": VFOV_DEGREES,
        "panorama_width": arguments.width,
    }
    encode_viewpoints(list(viewpoints), load_views, encoder, arguments.output, metadata)
    size = arguments.output.stat().st_size / 1e6
    print(f"{FeatureStore.open(arguments.output)}, {size:.1f} MB")


def rendered_views(
    viewpoints: Sequence[tuple[str, str]], size: tuple[int, int], arguments: ExtractArguments
) -> Iterator[np.ndarray]:
    """The 36 views of each (scan, viewpoint), rendered by worker processes."""
    context = get_context("spawn")  # Embree and torch do not survive a fork
    jobs: deque[Future[np.ndarray]] = deque()
    with ProcessPoolExecutor(arguments.workers, mp_context=context) as pool:
        for scan, viewpoint in viewpoints:
            jobs.append(pool.submit(_render, scan, viewpoint, size, arguments.width))
            # Rendering stays only a little ahead, so that views do not pile up in memory.
            if len(jobs) > 4 * arguments.workers:
                yield jobs.popleft().result()
        while jobs:
            yield jobs.popleft().result()


def _render(scan: str, viewpoint: str, size: tuple[int, int], width: int) -> np.ndarray:
    from envs.panoramas import views36

    panorama = _panoramas(width).panorama(scan, viewpoint)
    return views36(panorama.rgb, size, np.radians(VFOV_DEGREES))


@lru_cache(maxsize=1)
def _panoramas(width: int) -> "HousePanoramas":
    import torch

    from envs.panoramas.house_panoramas import HousePanoramas

    torch.set_num_threads(1)
    return HousePanoramas(width=width)


if __name__ == "__main__":
    main(tyro.cli(ExtractArguments))

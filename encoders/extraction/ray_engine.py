"""Computation of feature-store rows by Ray Data on a cluster.

Ray is an optional dependency: pip install "clipnav[ray]". If the environment variable RAY_ADDRESS
names a running cluster, that cluster is used; otherwise Ray starts one on this machine.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from clipnav.storage.extras import check_extra

# Returns the features (36, D) of one key, or None if its viewpoint is skipped.
Encode = Callable[[str], np.ndarray | None]

_KEYS_PER_TASK = 8


def check_ray() -> None:
    """Check that Ray is installed."""
    check_extra("ray", "ray", "--engine ray")


def ray_rows(
    keys: Sequence[str], make_encode: Callable[[], Encode], workers: int
) -> Iterator[np.ndarray | None]:
    """Yield the features of each key, in order."""
    check_ray()
    import ray

    if not keys:
        return
    ray.init(ignore_reinit_error=True)
    # An equal share for each worker; Ray hides the GPUs from workers that do not request any.
    gpus = min(1.0, ray.cluster_resources().get("GPU", 0) / workers)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False  # `fill_stores` shows one
    blocks = -(-len(keys) // _KEYS_PER_TASK)
    dataset = ray.data.from_items([{"key": key} for key in keys], override_num_blocks=blocks)
    encoded = dataset.map_batches(
        _Worker,
        fn_constructor_args=(make_encode,),
        concurrency=workers,
        num_gpus=gpus,
        batch_size=_KEYS_PER_TASK,
    )
    for item in encoded.iter_rows():
        yield _row(item)


class _Worker:
    """A Ray actor that holds the encoder, so that it is loaded once."""

    def __init__(self, make_encode: Callable[[], Encode]) -> None:
        self._encode = make_encode()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        rows = [self._encode(str(key)) for key in batch["key"]]
        # Bytes, because Arrow transfers them unchanged.
        return {
            "features": [b"" if row is None else row.astype("<f4").tobytes() for row in rows],
            "views": [0 if row is None else len(row) for row in rows],
        }


def _row(item: dict[str, Any]) -> np.ndarray | None:
    if not item["views"]:
        return None
    return np.frombuffer(item["features"], "<f4").reshape(item["views"], -1)

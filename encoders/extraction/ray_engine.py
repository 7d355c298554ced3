"""The rows of a feature store made by Ray Data, over the processors of a cluster.

Ray is an extra: pip install "clipnav[ray]". A cluster that runs already is used where the variable
RAY_ADDRESS names it; otherwise Ray starts one on this machine.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

# Makes the features (36, D) of one key, or None where its viewpoint is left out.
Encode = Callable[[str], np.ndarray | None]

_KEYS_PER_TASK = 8


def ray_rows(
    keys: Sequence[str], make_encode: Callable[[], Encode], workers: int
) -> Iterator[np.ndarray | None]:
    """Features of each key, in order.

    Args:
        keys: `scan_viewpoint` of each row.
        make_encode: Called once in each worker; must be picklable.
        workers: How many encode at once; each has a processor, and all share the cluster's GPUs.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        Exception: What encoding a key raised, as Ray reports it.
    """
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ModuleNotFoundError('ray is not installed: pip install "clipnav[ray]"') from error
    if not keys:
        return
    ray.init(ignore_reinit_error=True)
    # Shared out evenly; Ray hides the GPUs from a worker that asks for none.
    gpus = min(1.0, ray.cluster_resources().get("GPU", 0) / workers)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False  # the writer of the store shows one
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
    """An actor: holds the encoder, so that it is loaded once."""

    def __init__(self, make_encode: Callable[[], Encode]) -> None:
        self._encode = make_encode()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        rows = [self._encode(str(key)) for key in batch["key"]]
        # As bytes, which Arrow passes on unchanged.
        return {
            "features": [b"" if row is None else row.astype("<f4").tobytes() for row in rows],
            "views": [0 if row is None else len(row) for row in rows],
        }


def _row(item: dict[str, Any]) -> np.ndarray | None:
    if not item["views"]:
        return None
    return np.frombuffer(item["features"], "<f4").reshape(item["views"], -1)

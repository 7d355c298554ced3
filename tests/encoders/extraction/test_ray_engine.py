"""Rows computed by Ray Data; requires the extra "ray"."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from clipnav.encoders.extraction.arguments import ExtractArguments
from clipnav.encoders.extraction.command import main, ray_rows

KEYS = [f"lab_v{i}" for i in range(19)]


def row_of(seed: int, key: str) -> np.ndarray | None:
    if key == "lab_v7":
        return None
    rng = np.random.default_rng([seed, *key.encode()])
    return rng.standard_normal((36, 4)).astype(np.float32)


def make_encode():
    return partial(row_of, 5)


@pytest.mark.long
def test_rows_of_several_workers_are_in_order():
    ray = pytest.importorskip("ray", reason='the extra "ray" is not installed')
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        rows = list(ray_rows(KEYS, make_encode, workers=2))
    finally:
        ray.shutdown()
    for key, row in zip(KEYS, rows, strict=True):
        expected = row_of(5, key)
        if expected is None:
            assert row is None
        else:
            np.testing.assert_array_equal(row, expected)


def test_the_error_without_ray_names_the_extra_before_an_encoder_is_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r"clipnav\[ray\]"):
        next(ray_rows(KEYS, make_encode, workers=1))
    arguments = ExtractArguments(tmp_path / "s.safetensors", encoder=("absent",), engine="ray")
    with pytest.raises(ModuleNotFoundError, match=r"clipnav\[ray\]"):
        main(arguments)

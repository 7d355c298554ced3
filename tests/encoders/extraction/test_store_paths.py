"""Paths of the stores that the extraction command writes."""

from pathlib import Path

import numpy as np

from encoders.extraction.arguments import ExtractArguments
from encoders.extraction.command import is_missing, store_paths
from storage.features.partial_store import partial_path
from storage.features.store import FeatureStore


def test_stores_of_folders_with_a_prefix_have_names_that_windows_admits(tmp_path: Path):
    arguments = ExtractArguments(output_dir=tmp_path, encoder=("local-dir:mine",))
    assert store_paths(arguments) == [tmp_path / "local-dir-mine.safetensors"]


def test_unfinished_rows_of_a_finished_store_are_deleted(tmp_path: Path):
    """A run may be killed between writing its store and deleting them."""
    path = tmp_path / "store.safetensors"
    FeatureStore.write(path, np.ones((1, 36, 2)), ["a_b"], {"encoder": "one"})
    partial_path(path).write_bytes(b"left")
    assert not is_missing(path, ["a_b"], {"encoder": "one"})
    assert list(tmp_path.iterdir()) == [path]

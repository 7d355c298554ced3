"""Paths of the stores that the extraction command writes."""

from pathlib import Path

from encoders.extraction.arguments import ExtractArguments
from encoders.extraction.command import store_paths


def test_stores_of_folders_with_a_prefix_have_names_that_windows_admits(tmp_path: Path):
    arguments = ExtractArguments(output_dir=tmp_path, encoder=("local-dir:mine",))
    assert store_paths(arguments) == [tmp_path / "local-dir-mine.safetensors"]

"""Paths of the stores that the extraction command writes."""

from pathlib import Path

import pytest

from clipnav.encoders.extraction.arguments import ExtractArguments
from clipnav.encoders.extraction.command import main


def test_ambiguous_paths_of_stores_are_refused(tmp_path: Path):
    for message, arguments in {
        "feature store is missing; give it with --output": {},
        # Before the encoder is loaded, whose weights may have to be downloaded.
        r"a\.h5: a feature store is a \.safetensors file": {
            "output": tmp_path / "a.h5",
            "encoder": ("unknown",),
        },
        "2 encoders require a folder": {
            "output": tmp_path,
            "encoder": ("a", "b"),
        },
        "exclude each other": {"output": tmp_path, "output_dir": tmp_path},
        "two encoders have this name": {"output_dir": tmp_path, "encoder": ("x/a", "y/a")},
        "1 weights for 2 encoders": {
            "output_dir": tmp_path,
            "encoder": ("RN50", "house_clip"),
            "pretrained": ("openai",),
        },
    }.items():
        with pytest.raises(ValueError, match=message):
            main(ExtractArguments(**arguments))

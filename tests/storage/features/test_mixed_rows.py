"""Feature files that contain rows of two encoders."""

from pathlib import Path

import numpy as np
import pytest

from clipnav.storage.errors import UserError
from clipnav.storage.features.formats import write_features
from clipnav.storage.features.opening import read_features

KEYS = ["house_00_a", "house_00_b"]


@pytest.mark.parametrize("suffix", ["tsv", "lmdb"])
@pytest.mark.parametrize("width", [None, 4])
def test_rows_of_two_encoders_are_refused(tmp_path: Path, suffix: str, width: int | None):
    path = tmp_path / f"features.{suffix}"
    rows = [np.zeros((36, width), np.float16) for width in (8, 12)]
    write_features(path, KEYS, rows, {"encoder": "tiny"})
    with pytest.raises(UserError, match=r"house_00_b have shape \(36, 12\), but .* \(36, 8\)"):
        list(read_features(path, width).rows)

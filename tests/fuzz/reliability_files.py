"""Samples of files of reliable VQA."""

from pathlib import Path

import numpy as np
from samples import Sample, write_json


def question_parts(folder: Path) -> Sample:
    from clipnav.vl_tasks.reliability.parts import read_parts

    path = write_json(folder / "parts.json", {"dev": [1, 2], "val": [3], "test": [4, 5, 6]})
    return path, lambda: read_parts(path)


def published_parts(folder: Path) -> Sample:
    from clipnav.vl_tasks.reliability.parts import read_published_ids

    records = [{"version": 1}, *({"image_id": k, "answers": ["a"] * 3} for k in range(9))]
    path = folder / "imdb_val2014-dev.npy"
    np.save(path, np.array(records, dtype=object))
    return path, lambda: read_published_ids(path)


def selector_description(folder: Path) -> Sample:
    from clipnav.vl_tasks.reliability.folder import (
        FolderDescription,
        RiskThreshold,
        read_description,
        write_description,
    )

    thresholds = (RiskThreshold(5, 0.63, 41.5), RiskThreshold(1, None, 0))
    widths = {"image": 8, "scores": 5}
    write_description(
        folder,
        FolderDescription(
            "run", "0" * 64, "val", "q.json", "a.json", "V2", widths, None, thresholds
        ),
    )
    return folder / "selector.json", lambda: read_description(folder)

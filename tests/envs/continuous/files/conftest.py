"""Exported files of a few episodes of one house."""

import json
from functools import cache

import pytest

from clipnav.envs.continuous.files import writing
from clipnav.storage.gzip_files import open_maybe_packed

FEW = {"r2r": 9, "rxr": 4}


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Function that exports the first episodes of val_unseen and returns the written files."""
    whole = writing._episodes

    @cache
    def export(dataset, **options):
        folder = tmp_path_factory.mktemp("datasets")
        with pytest.MonkeyPatch.context() as patch:
            few = FEW[dataset]
            cut = {"val_unseen": slice(few), "train": slice(None)}
            patch.setattr(writing, "_episodes", lambda d, s, w: whole(d, s, w)[cut[s]])
            return writing.export_split(dataset, "val_unseen", folder, **options)

    return export


@pytest.fixture
def read_packed():
    """Function that returns the document of a compressed JSON file."""

    def read(path):
        with open_maybe_packed(path) as file:
            return json.loads(file.read())

    return read

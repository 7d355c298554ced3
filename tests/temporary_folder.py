"""A folder of temporary files for the tests.

Processes that are killed leave files there (timm imports wandb, which makes two folders), and
stable-baselines3 does at every training.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.util import get_temp_dir

import pytest


@contextmanager
def own_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Within it, this process and those that it starts use a folder that is deleted at the end."""
    # Folders in the usual place: pytest keeps its own, and multiprocessing deletes its own at exit.
    tmp_path_factory.getbasetemp()
    get_temp_dir()
    # Paths of sockets are limited to about 100 characters, so it is not below pytest's folder.
    folder = tempfile.mkdtemp(prefix="clipnav-tests-")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield
    shutil.rmtree(folder, ignore_errors=True)

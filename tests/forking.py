"""Spawned processes of the tests, forked from a process that has already imported large packages.

They behave like spawned ones: they inherit nothing but what is pickled, the environment, the folder
and standard streams.
"""

import multiprocessing
import multiprocessing.context
import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

import pytest

from tests.launching import ROOT

# Arguments of gymnasium.make_vec. By default it forks the process of the tests, where threads of
# Ray, torch and tqdm may hold locks that nobody would release in the fork.
IN_PROCESSES: dict[str, Any] = {
    "vectorization_mode": "async",
    "vector_kwargs": {"context": "spawn"},
}


class ForkedProcess(ForkServerProcess):
    """Process with the environment of the process that starts it."""

    def start(self) -> None:
        """Start the process; the first call starts the server that forks."""
        with chdir(ROOT):  # the server finds the preloaded module there
            forkserver.ensure_running()
        self._environment = dict(os.environ)
        super().start()

    def run(self) -> None:
        """Run the target."""
        os.environ.clear()
        os.environ.update(self._environment)
        super().run()


class ForkingContext(ForkServerContext):
    """Context of such processes."""

    Process = ForkedProcess  # type: ignore[assignment]


@contextmanager
def forked_instead_of_spawned() -> Iterator[None]:
    """Within it, all that asks for the start method "spawn" gets forked processes."""
    forkserver.set_forkserver_preload(["tests.preloaded"])
    contexts: dict[str, Any] = vars(multiprocessing.context)["_concrete_contexts"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(contexts, "spawn", ForkingContext())
        yield

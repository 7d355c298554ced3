"""Commands that are killed at random times and repeated end with the result of an unkilled one.

CLIPNAV_KILLS sets the number of kills per command (default 1); pytest -s prints a summary.
"""

import os
import shutil
import signal
import time
from collections import Counter
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

KILLS = int(os.environ.get("CLIPNAV_KILLS", "1"))
SAMPLE = "follower extraction download".split()  # the others run in `make test-long`
OTHERS = [*"speaker vqa gqa tuning pairs houses tasks demonstrations".split(), "house clip"]
NAMES = [*SAMPLE, *(pytest.param(name, marks=pytest.mark.long) for name in OTHERS)]
LOCKED = [name for name in NAMES if name != "download"]  # commands that lock their output
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)
_LEFTOVERS = (".lock", ".partial", ".partial-version")


class Attempts:
    """A command with its own folder, which can be started repeatedly."""

    def __init__(self, command, folder, launcher):
        self.command, self.folder, self._launcher = command, folder, launcher
        self.output, self.log = folder / "output", folder / "log.txt"
        self.clear()

    def clear(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.output.mkdir(parents=True)

    def start(self, log=None):
        arguments = self.command.arguments(self.output)
        run = self.output / "run"
        if self.command.resumes and (run / "config.json").is_file():
            arguments = ["--resume", str(run)]
        cache = {"CLIPNAV_CACHE": self.folder / "cache"}
        log = log or self.log
        log.unlink(missing_ok=True)
        words = [*self.command.words, *arguments]
        return self._launcher.start(self.command.program, words, cache, log)

    def wait(self, process):
        return self._launcher.wait(process)

    def stage(self):
        """Return which part of the output exists, and of the cache while there is no output."""
        names = {path.name for path in self.output.rglob("*") if path.is_file()}
        if not names:
            cached = sum(path.is_file() for path in (self.folder / "cache").rglob("*"))
            return f"with {cached} files in the cache" if cached else "with nothing yet"
        if any(name.endswith(".partial") for name in names):
            return "half way"
        for name in ("results.json", "trainer.pt", "store.safetensors", "scans.txt"):
            if name in names:
                return f"with {name}"
        return "with files" if names - {".lock"} else "with a lock"

    def check_end(self, expected):
        assert self.command.state(self.output) == expected
        left = [path for path in self.output.rglob("*") if path.name.endswith(_LEFTOVERS)]
        left += [path for path in self.folder.rglob("*") if ".writing" in path.name]
        assert not left


class Whole(NamedTuple):
    """What two processes did that were started at once, and the state of their output."""

    state: Any
    seconds: float
    processes: list[int]
    codes: list[int]
    outputs: list[str]


@pytest.fixture(scope="module")
def whole(long_commands, launcher, tmp_path_factory):
    """Return a function from a command to the `Whole` of processes that are not killed."""

    @cache
    def run(name):
        attempts = Attempts(long_commands(name), tmp_path_factory.mktemp("whole") / "w", launcher)
        logs = [attempts.folder / f"{number}.txt" for number in range(1 + (name != "download"))]
        start = time.perf_counter()
        processes = [attempts.start(log) for log in logs]
        codes = [attempts.wait(process) for process in processes]
        seconds = time.perf_counter() - start
        outputs = [log.read_text() for log in logs]
        assert 0 in codes, outputs
        state = attempts.command.state(attempts.output)
        attempts.check_end(state)
        return Whole(state, seconds, processes, codes, outputs)

    return run


@pytest.mark.parametrize("name", NAMES)
def test_killed_commands_end_with_the_same_result(long_commands, launcher, whole, tmp_path, name):
    state, seconds, *_ = whole(name)
    rng = np.random.default_rng([KILLS, *name.encode()])
    attempts = Attempts(long_commands(name), tmp_path / "folder", launcher)
    stages: Counter[str] = Counter()
    while stages.total() < KILLS:
        process = attempts.start()
        time.sleep(rng.uniform(0, 0.8 * seconds))  # one process is faster than two at once
        stage = attempts.stage()
        number = SIGNALS[rng.integers(len(SIGNALS))]
        launcher.kill(process, number)
        code = attempts.wait(process)
        if code == 0:
            attempts.check_end(state)
            attempts.clear()
            continue
        output = attempts.log.read_text()
        assert code in (-number, 130), output
        if code == 130:
            assert "Traceback" not in output
            # Triton's binding library reports leaks when the interpreter ends.
            assert "Stopped" in output.partition("nanobind: ")[0].splitlines()[-1]
        stages[stage] += 1
    code = attempts.wait(attempts.start())
    assert code == 0, attempts.log.read_text()
    attempts.check_end(state)
    listed = ", ".join(f"{count} {stage}" for stage, count in sorted(stages.items()))
    print(f"\n{name}: {stages.total()} kills ({listed}); the result is equal")


@pytest.mark.parametrize("name", LOCKED)
def test_a_second_process_is_refused_or_waits(long_commands, whole, name):
    _, _, processes, codes, outputs = whole(name)
    assert not any("Traceback" in text for text in outputs)
    if long_commands(name).waits:
        assert codes == [0, 0], outputs
    else:
        assert sorted(codes) == [0, 1], outputs
        winner = processes[codes.index(0)]
        refusal = outputs[codes.index(1)]
        # On a busy machine, the second process may begin after the first has ended.
        assert f"process {winner} (on" in refusal or "already contains a run" in refusal

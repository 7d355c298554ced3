"""The peak memory of a benchmark on other systems."""

import math
import sys

from tests.benchmarks.loading import load


def test_the_peak_memory_is_in_mib_on_macos_and_linux(monkeypatch):
    peak_memory = load("measuring")["peak_memory"]
    on_linux = peak_memory()
    assert on_linux > 1
    monkeypatch.setattr(sys, "platform", "darwin")  # there in bytes instead of KiB
    assert math.isclose(peak_memory() * 1024, on_linux, rel_tol=0.5)


def test_the_peak_memory_is_unknown_on_windows(monkeypatch):
    peak_memory = load("measuring")["peak_memory"]
    monkeypatch.setitem(sys.modules, "resource", None)
    assert math.isnan(peak_memory())

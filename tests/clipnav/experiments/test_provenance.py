"""The machine of a measurement, on systems that lack some functions of Linux."""

import os

from clipnav.experiments.provenance import machine


def test_the_machine_is_described_without_affinity_and_load(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS and Windows
    monkeypatch.delattr(os, "getloadavg")  # Windows
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    described = machine()
    assert described["cores"] == 3
    assert "load" not in described
    assert described["processor"]

import json

import numpy as np
import pytest

from clipnav.envs.continuous.floor.continuous_floor import ContinuousFloor


def test_check_prints_every_step(run_command, habitat_python):
    output = run_command("habitat-server", "--check", "--gpu-device-id", "-1")
    lines = output.splitlines()
    assert [line.split()[0] for line in lines] == ["Python", "habitat-sim", "interface", "drawing"]
    assert all(" ok: " in line for line in lines)


def test_check_fails_with_the_reason(run_command, capsys, monkeypatch):
    monkeypatch.setenv("CLIPNAV_HABITAT_PYTHON", "/no/python")
    with pytest.raises(SystemExit) as ended:
        run_command("habitat-server", "--check")
    assert ended.value.code == 1
    assert "Python       MISSING: /no/python: neither a Python" in capsys.readouterr().out


class Nowhere:
    def distances(self, positions, goal):
        return np.full(len(positions), np.inf)


class Grey:
    """Simulator with equal pictures everywhere; house_27 has a floor on which nothing connects."""

    def __init__(self, shade):
        self.shade = shade

    def floor(self, scan):
        return Nowhere() if scan == "house_27" else ContinuousFloor.of_boxes([(-1, -1, 21, 21)])

    def draw(self, scans, positions, headings, tilts, sensors):
        rgb = np.full((len(scans), 4, 4, 3), self.shade, np.uint8)
        return {"rgb": rgb, "depth": np.full((len(scans), 4, 4), 2.0, np.float32)}


def test_compare_prints_and_writes_a_row_per_house(run_command, monkeypatch, tmp_path):
    opened = []

    def open_simulator(settings, **options):
        opened.append(options)
        return Grey(120 if options else 100)

    monkeypatch.setattr(
        "clipnav.envs.continuous.environments.making.open_simulator", open_simulator
    )
    path = tmp_path / "comparison.json"
    output = run_command(
        *("habitat-server", "--compare", "--python", "habitat", "--viewpoints", 3, "--pairs", 5),
        *("--json", path),
    )
    rows = json.loads(path.read_text("utf-8"))
    assert [row["scan"] for row in rows] == ["house_26", "house_27"]
    assert all(row["views"] == 12 for row in rows)
    assert all(row["psnr"] == pytest.approx(20 * np.log10(255 / 20)) for row in rows)
    assert rows[0]["distance_error"] == rows[0]["largest_distance_error"] == 0
    assert rows[1]["distance_error"] is rows[1]["largest_distance_error"] is None
    assert [line.split()[0] for line in output.splitlines()] == ["house", "house_26", "house_27"]
    assert opened[0] == {"backend": "habitat", "habitat_python": "habitat", "gpu_device_id": None}


def test_seeds_choose_the_pairs(run_command, monkeypatch):
    starts = []

    class Recording(Nowhere):
        def distances(self, positions, goal):
            starts.append(positions.tolist())
            return super().distances(positions, goal)

    monkeypatch.setattr(Grey, "floor", lambda self, scan: Recording())
    monkeypatch.setattr(
        "clipnav.envs.continuous.environments.making.open_simulator", lambda *_, **__: Grey(100)
    )
    for seed in (3, 3, 4):
        run_command(
            *("habitat-server", "--compare", "--scans", "house_26", "--viewpoints", 6),
            *("--pairs", 9, "--seed", seed),
        )
    first, _, again, _, other, _ = starts
    assert first == again
    assert first != other

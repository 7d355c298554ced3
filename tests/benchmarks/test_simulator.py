import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_simulator_reports_all_figures_on_the_built_in_graphs():
    done = subprocess.run(
        [sys.executable, "benchmarks/simulator.py", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])["figures"]
    for angles in ("discretised", "continuous"):
        for size in (1, 64):
            for work in ("turning", "turning, every field read", "walking, every field read"):
                assert figures[f"{work}, {angles}, batch {size}"]["value"] > 0
    assert figures["turning, discretised, batch 64"]["bar"] == 150_000
    assert figures["first sweeps over 36 views"]["value"] > 0

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_training_reports_all_figures_on_the_built_in_houses():
    done = subprocess.run(
        [sys.executable, "benchmarks/training.py", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])["figures"]
    for work in ("iteration, batch 4", "decoder call of 4 in evaluation", "instructions evaluated"):
        for way in ("", ", the plain way"):
            assert figures[work + way]["value"] > 0
    assert figures["iteration, batch 4"]["bar"] == 0.9
    assert figures["peak memory of training"]["bar"] == 1000

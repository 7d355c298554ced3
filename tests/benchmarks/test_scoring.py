import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_scoring_reports_all_figures_on_the_built_in_graphs():
    done = subprocess.run(
        [sys.executable, "benchmarks/scoring.py", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])["figures"]
    for size in ("R2R size (60)", "RxR size (60)"):
        for name in ("plain", "score_path", "score_paths", "memory of score_paths"):
            assert figures[f"{size}: {name}"]["value"] > 0

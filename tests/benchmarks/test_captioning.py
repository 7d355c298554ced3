import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_captioning_reports_rewards_beside_pycocoevalcap_and_writing_beside_rereading():
    done = subprocess.run(
        [sys.executable, "benchmarks/captioning.py", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])["figures"]
    for name in ("pycocoevalcap", "ours", "ours to pycocoevalcap"):
        assert figures[f"reward of 60 captions: {name}"]["value"] > 0
    for name in ("prefixes read again", "kept keys and values", "kept to read again"):
        assert figures[f"5 beams, 9 places: {name}"]["value"] > 0

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def figures(name: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, f"benchmarks/{name}.py", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])["figures"]


def test_encoding_reports_every_precision_with_its_cosine():
    found = figures("encoding")
    for precision in ("open_clip fp32", "fp32", "medium", "bf16"):
        assert found[f"house_clip: {precision}"]["value"] > 0
        assert found[f"house_clip: {precision}, smallest cosine"]["reached"]
    whole = found["whole extraction of house_00"]["value"]
    assert found["whole extraction of house_00, images"]["value"] == 36 * whole > 0
    for part in ("rendering", "cutting views"):
        assert found[f"whole extraction of house_00: {part}"]["value"] > 0


def test_store_reports_reads_of_every_kind():
    found = figures("store")
    for kind in (
        "store, float16",
        "store in shards, as float32",
        "HDF5 by keys, kept open",
        "HDF5 by keys, opened anew for each",
    ):
        assert found[f"64 viewpoints, {kind}"]["value"] > 0

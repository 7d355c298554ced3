"""A checkout with small experiments, whose benchmarks are scripts that the tests control."""

import subprocess
from pathlib import Path

import pytest

DECLARATIONS = """
[speed]
page = "page.md"
budget = "1 second"
steps = [
  "python benchmarks/first.py --json runs/results/speed/figures.json",
  "python benchmarks/second.py --json runs/results/speed/second.json",
]
columns = ["", "steps", { name = "share", factor = 100, format = ".1f" }]
rows = [["fast", "#fast", "second.json#share"], ["slow", "#slow", ""]]
"""
FIRST = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[2]).parent
with (folder / "starts.txt").open("a") as file:
    file.write("first\\n")
figures = {"fast": {"value": 1234.5, "unit": "steps"}, "slow": {"value": 2.5, "unit": "steps"}}
pathlib.Path(sys.argv[2]).write_text(json.dumps({"figures": figures}))
"""
SECOND = """
import json, pathlib, sys
pathlib.Path(sys.argv[2]).write_text(json.dumps({"share": 0.123}))
"""
PAGE = "# Page\n\n<!-- table: speed -->\n<!-- end -->\n\nText.\n"


def declared(name: str, *steps: str, reference: str, seeds: str = "[0]") -> str:
    """Declaration of an experiment with one row and the column SR, for experiments.toml."""
    return f"""
[{name}]
page = "page.md"
budget = "1 second"
seeds = {seeds}
steps = {list(steps)}
columns = ["", "SR"]
rows = [["own", "{reference}"]]
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with the experiment `speed`, whose two steps are scripts."""
    files = {
        "docs/page.md": PAGE,
        "docs/results/experiments.toml": DECLARATIONS,
        "benchmarks/first.py": FIRST,
        "benchmarks/second.py": SECOND,
    }
    folder = tmp_path / "checkout"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "First"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


@pytest.fixture
def reproduce(run_command, checkout, monkeypatch):
    """Run the command in the checkout."""
    monkeypatch.chdir(checkout)

    def run(*arguments):
        return run_command("reproduce", *arguments)

    return run

"""The command runs several experiments: in order, at once, and to the end where a table fails."""

import json
import re
import shutil
import time

import pytest

from clipnav.experiments import running
from clipnav.storage.errors import UserError
from tests.clipnav.experiments.conftest import declared


def test_required_experiments_run_first_and_once(reproduce, checkout):
    declarations = checkout / "docs/results/experiments.toml"
    with declarations.open("a") as file:
        file.write("""
[later]
page = "page.md"
budget = "1 second"
requires = ["speed"]
steps = ["benchmarks/second.py {folder}/own.json", "benchmarks/second.py {speed}/other.json"]
columns = ["", "share"]
rows = [["own", "own.json#share"]]
""")
    (checkout / "docs/page.md").write_text("# Page\n")
    printed = reproduce("later")
    assert re.findall(r"(\w+), step (\d)", printed) == [
        ("speed", "1"), ("speed", "2"), ("later", "1"), ("later", "2")
    ]  # fmt: skip
    record = json.loads((checkout / "docs/results/later.json").read_text())
    assert [command.split()[-1] for command in record["commands"]] == [
        "runs/results/speed/first.json",
        "runs/results/speed/second.json",
        "runs/results/later/own.json",
        "runs/results/speed/other.json",
    ]
    assert record["rows"] == [["own", 0.123]]
    assert "step" not in reproduce("speed")


def write_in_turn(job):
    """Stand-in for a step: that of experiment b ends before that of experiment a."""
    folder = job.checkout / job.words[-1]
    first = folder.parents[1] / "b" / "run"
    end = time.monotonic() + 100
    while folder != first and not (first / "results.json").is_file():
        assert time.monotonic() < end, "the experiments do not run at once"
        time.sleep(0.05)
    time.sleep(0.5)
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps({"results": {"SR": 0.5}}))
    return 1.5


def test_experiments_run_at_once(reproduce, checkout, monkeypatch):
    step, value = "train-agent --output {folder}/run", "run/results.json#results#SR"
    (checkout / "docs/results/experiments.toml").write_text(
        "".join(declared(name, step, "SR", value) for name in "ab")
    )
    (checkout / "docs/page.md").write_text("# Page\n")
    monkeypatch.setattr(running, "_run_job", write_in_turn)
    lines = reproduce("a", "b", "--workers", "2").splitlines()
    recorded = [line.rpartition("/")[2] for line in lines if line.endswith(".json")]
    assert recorded == ["b.json", "a.json"]


def test_a_table_without_a_value_does_not_end_other_experiments(reproduce, checkout):
    declarations = checkout / "docs/results/experiments.toml"
    with declarations.open("a") as file:
        step = "benchmarks/second.py {folder}/second.json"
        file.write(declared("wrong", step, "share", "second.json#shares"))
    with pytest.raises(UserError, match=r"second\.json: there is no 'shares'"):
        reproduce("wrong", "speed")
    assert not (checkout / "docs/results/wrong.json").exists()
    assert (checkout / "docs/results/speed.json").is_file()
    assert "| fast | 1,234 | 12.3 |" in (checkout / "docs/page.md").read_text()


OTHERS = declared("other", "benchmarks/second.py {folder}/own.json", "share", "own.json#share")


def test_a_page_that_cannot_be_rendered_does_not_end_other_experiments(reproduce, checkout):
    declarations = checkout / "docs/results/experiments.toml"
    declarations.write_text(declarations.read_text() + OTHERS)
    reproduce("other")
    declarations.write_text(declarations.read_text().replace('"", "share"', '"row", "share"'))
    page = checkout / "docs/page.md"
    page.write_text(page.read_text() + "<!-- table: other -->\n<!-- end -->\n")
    reproduce("speed", "other")
    assert "| fast | 1,234 | 12.3 |" in page.read_text()
    assert "| row | share |" in page.read_text()

    page.write_text(page.read_text().replace("<!-- end -->", "", 1))
    shutil.rmtree(checkout / "runs")
    with pytest.raises(UserError, match="a table has no end"):
        reproduce("speed", "other")
    assert (checkout / "docs/results/other.json").stat().st_mtime > page.stat().st_mtime


def test_a_missing_file_does_not_end_other_experiments(reproduce, checkout):
    declarations = checkout / "docs/results/experiments.toml"
    declarations.write_text(declarations.read_text() + OTHERS.replace("#share", ".gz#share"))
    with pytest.raises(UserError, match=r"own\.json\.gz"):
        reproduce("other", "speed")
    assert (checkout / "docs/results/speed.json").is_file()


def test_a_folder_of_outputs_may_have_spaces_in_its_name(reproduce, checkout):
    reproduce("speed", "--output", "my runs/results")
    assert "Measured by `clipnav reproduce speed`" in (checkout / "docs/page.md").read_text()
    record = json.loads((checkout / "docs/results/speed.json").read_text())
    assert record["commands"][0] == "python benchmarks/first.py runs/results/speed/first.json"

"""The pages name what is there: files, links and commands with their flags; snippets run."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from envs.houses.building.sets import MINI
from envs.houses.instructions.annotation_files import guide_path, read_annotations
from tests.conftest import SCRIPTS

ROOT = SCRIPTS.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ROOMS = "agents|benchmarks|connectivity|encoders|envs|scripts|storage|tests|viewer|vl_tasks"
# Named neither alone nor in a command line: it is what `make demo` runs.
UNNAMED = {"demo.py"}


def command_lines(page: Path) -> Iterator[list[str]]:
    """Commands of this project in a page's blocks, as (script, arguments ...)."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    for found in re.finditer(r"^(?: {4}|\$ )?python (?:scripts/)([\w.]+ ?.*)$", text, re.MULTILINE):
        yield shlex.split(found[1], comments=True)


COMMANDS: dict[str, set[str]] = {}
for _page in PAGES:
    for _script, *_arguments in command_lines(_page):
        # What stands behind "--" is of another command.
        _own = _arguments[: _arguments.index("--")] if "--" in _arguments else _arguments
        _flags = {one for one in _own if re.match(r"--\w", one)}
        COMMANDS.setdefault(_script, set()).update(_flags)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_links_of_a_page_are_there(page):
    text = page.read_text("utf-8")
    files = re.findall(rf"`((?:{ROOMS})/[\w/]+\.py)\b", text)
    files += re.findall(r"python ((?:scripts|benchmarks)/\w+\.py)", text)
    assert [name for name in files if not (ROOT / name).is_file()] == []
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_command_stands_in_a_page():
    text = "".join(page.read_text("utf-8") for page in PAGES)
    commands = {path.name for path in SCRIPTS.glob("*.py") if "__main__" in path.read_text()}
    assert {name for name in commands - UNNAMED if name not in text} == set()


@pytest.mark.parametrize("script", sorted(COMMANDS))
def test_flags_of_the_pages_are_those_of_the_command(script, run_script, capsys):
    with pytest.raises(SystemExit):
        run_script(script, "--help")
    known = set(re.findall(r"--[\w.-]+", capsys.readouterr().out))
    assert COMMANDS[script] - known == set()


@pytest.mark.parametrize(
    ("page", "number", "printed"),
    [
        ("README.md", 0, r"\w+"),
        ("docs/environments.md", 0, "1.0"),
        ("docs/mattersim.md", 1, r"\w+ "),
    ],
)
def test_snippets_run_as_they_stand(page, number, printed, monkeypatch, capsys):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.S | re.M)
    monkeypatch.setitem(sys.modules, "MatterSim", None)  # put back what the snippet installs
    exec(compile(blocks[number], page, "exec"), {})
    assert re.match(printed, capsys.readouterr().out)


def test_the_path_in_three_languages_is_in_the_files():
    text = (ROOT / "docs" / "languages.md").read_text("utf-8")
    path = re.search(r"Path (\d+) of (\w+)", text)
    assert path
    shown = re.findall(r"^\*\*([a-z]{2}-[A-Z]{2})\.\*\* (.*?)\n\n", text, re.S | re.M)
    assert {(tag, " ".join(said.split())) for tag, said in shown} == {
        (one["language"], one["instruction"])
        for one in read_annotations(guide_path(MINI.data_dir, path[2]))
        if one["path_id"] == int(path[1])
    }

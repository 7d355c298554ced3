"""The pages name what is there: files, links and commands with their flags; snippets run."""

import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import clipnav
from clipnav.agents.acting.baselines import TeacherAgent
from clipnav.agents.specs import agent_names
from clipnav.cli import COMMANDS
from clipnav.envs.houses.building.sets import MINI
from clipnav.envs.houses.instructions.annotation_files import guide_path, read_annotations
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Pages that exist in the built site only, see docs/site_hooks.py.
GENERATED = {ROOT / "docs" / "reference" / "commands.md"}
PACKAGES = (
    "agents|benchmarks|clipnav|connectivity|encoders|envs|scripts|storage|tests|training|viewer|"
    "vl_tasks"
)
NAMES = {name for names in COMMANDS.values() for name in names}


def command_lines(page: Path) -> Iterator[list[str]]:
    """Return the commands in the blocks of a page, as (name, argument, ...)."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    for match in re.finditer(r"^(?: {4}|\$ )?clipnav ([a-z][\w-]* ?.*)$", text, re.MULTILINE):
        yield shlex.split(match[1], comments=True)
    for match in re.finditer(r"^ {4}python scripts/(\w+)\.py ?(.*)$", text, re.MULTILINE):
        yield [match[1].replace("_", "-"), *shlex.split(match[2], comments=True)]


USED_FLAGS: dict[str, set[str]] = {}
for _page in PAGES:
    for _name, *_arguments in command_lines(_page):
        # Arguments after "--" belong to another command.
        _own = _arguments[: _arguments.index("--")] if "--" in _arguments else _arguments
        _flags = {word for word in _own if re.match(r"--\w", word)}
        USED_FLAGS.setdefault(_name, set()).update(_flags)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_links_of_a_page_exist(page):
    text = page.read_text("utf-8")
    files = re.findall(rf"`((?:{PACKAGES})/[\w/]+\.py)\b", text)
    files += re.findall(r"python ((?:scripts|benchmarks)/\w+\.py)", text)
    assert [name for name in files if not (ROOT / name).is_file()] == []
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    targets = {(page.parent / link).resolve() for link in links} - GENERATED
    assert [target for target in targets if not target.exists()] == []


def test_each_row_of_the_security_page_names_a_test():
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    rows = re.findall(r"^\|.*\| ([^|]+) \|$", text, re.MULTILINE)[2:]
    for row in rows:
        source = ""
        for file, name in re.findall(r"`([\w/]+\.py)?(?:::(\w+))?`", row):
            source = (ROOT / file).read_text("utf-8") if file else source
            assert source, row
            assert not name or f"def {name}(" in source, name
        assert source, row


@pytest.mark.parametrize("contents", [ROOT / "README.md", ROOT / "docs" / "index.md"])
def test_the_contents_list_every_guide_and_tutorial(contents):
    links = re.findall(r"\]\(([^)#]+)", contents.read_text("utf-8"))
    linked = {(contents.parent / link).resolve() for link in links if "://" not in link}
    pages = {*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "tutorials").glob("*_*.md")}
    assert pages - linked - {ROOT / "docs" / "index.md"} == set()


def test_the_installation_lists_every_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    rows = re.findall(
        r"^\| (`.*?`) \|", (ROOT / "docs" / "installation.md").read_text("utf-8"), re.M
    )
    listed = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    assert set(project["optional-dependencies"]) - {"dev"} - listed == set()


def test_the_readme_is_short_and_its_figures_are_those_of_the_results():
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 120
    results = "".join(page.read_text("utf-8") for page in PAGES if page.name != "README.md")
    rows = re.findall(r"^\| .*? \|.*?\| ([\d.]+) / ([\d.]+) \|", text, re.MULTILINE)
    assert len(rows) == 8
    for success, weighted in rows:
        # SR and SPL are neighbours in a row of a table.
        pattern = rf"\| {success}( ± [\d.]+)? \| {weighted}( ± [\d.]+)? \|"
        assert re.search(pattern, results), (success, weighted)


def test_every_command_is_on_a_page():
    text = "".join(page.read_text("utf-8") for page in PAGES)
    assert {name for name in NAMES if not re.search(rf"clipnav {name}\b", text)} == set()


@pytest.mark.parametrize("name", sorted(USED_FLAGS))
def test_flags_on_the_pages_exist(name, run_command, capsys):
    agents = agent_names() if name == "train-agent" else []
    known = {"--help-all"}
    for words in [[], *(["--agent", agent] for agent in agents)]:
        with pytest.raises(SystemExit):
            run_command(name, *words, "--help-all")
        known |= set(re.findall(r"--[\w.-]+", capsys.readouterr().out))
    assert USED_FLAGS[name] - known == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_imports_clipnav_before_it_makes_an_environment(page):
    code = "".join(re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.S | re.M))
    before, *made = re.split(r'make(?:_vec)?\("R', code, maxsplit=1)
    assert not made or "import clipnav" in before


@pytest.mark.parametrize(
    ("page", "number", "printed"),
    [
        ("README.md", 0, r"\w+"),
        ("docs/index.md", 0, r"\w+"),
        ("docs/environments.md", 0, "1.0"),
        ("docs/continuous.md", 0, r"(?s)\(224, 224, 3\).*\n1\.0 "),
        ("docs/mattersim.md", 1, r"\w+ "),
    ],
)
def test_snippets_run_as_they_stand(page, number, printed, monkeypatch, capsys):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.S | re.M)
    monkeypatch.setitem(sys.modules, "MatterSim", None)  # put back what the snippet installs
    exec(compile(blocks[number], page, "exec"), {})
    assert re.match(printed, capsys.readouterr().out)


def snippets(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.S | re.M)


def test_the_snippets_about_a_trained_run_and_its_metrics_run(monkeypatch, capsys):
    arguments = {"split": "val_unseen", "features": "none", "autoreset_mode": "Disabled"}
    env = clipnav.make_vec("R2R-CLIP-v0", num_envs=240, **arguments).unwrapped
    monkeypatch.setattr(clipnav, "load_run", lambda run, split: (env, TeacherAgent()))
    variables: dict = {"score_paths": clipnav.score_paths}
    for page, start in (
        ("docs/environments.md", "import clipnav\n\nenv, agent = clipnav.load_run"),
        ("docs/metrics.md", "graphs = [env.nav_world"),
    ):
        exec(next(code for code in snippets(page) if code.startswith(start)), variables)
    assert capsys.readouterr().out == "1.0 0.0\n"
    assert len(variables["columns"]["success"]) == len(variables["revisits"]) == 720


def test_own_episodes_are_written_as_the_page_shows(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    exec(snippets("docs/real_data.md")[0], {})
    features = capsys.readouterr().out.strip()
    for split in ("train", "val_seen", "val_unseen"):
        own = clipnav.load_split("r2r", split, "matterport", "own", features)
        theirs = clipnav.load_split("r2r", split).episodes[:20]
        assert [(e.path, e.instruction) for e in own.episodes] == [
            (e.path, e.instruction) for e in theirs
        ]


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

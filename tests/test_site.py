"""The documentation site is built strictly, contains the whole reference, and works offline."""

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import clipnav
from clipnav.cli import COMMANDS
from tests.conftest import ROOT

NAMES = [name for names in COMMANDS.values() for name in names]


def build(site: Path, config: Path = ROOT / "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    words = ["-m", "mkdocs", "build", "--strict", "--config-file", str(config)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *words, "--site-dir", str(site)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_page_is_built(site):
    sources = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    pages = [path.with_suffix(".html") for path in sources]
    assert [page for page in pages if not (site / page).is_file()] == []
    assert not (site / "site_hooks.py").exists()


def test_the_reference_describes_every_public_name(site):
    text = "".join(path.read_text("utf-8") for path in (site / "reference").glob("*.html"))
    assert [name for name in clipnav.__all__ if f'id="clipnav.{name}"' not in text] == []
    index = (ROOT / "docs" / "reference" / "index.md").read_text("utf-8")
    assert [name for name in clipnav.__all__ if f"`{name}`" not in index] == []


def test_every_command_has_a_page_that_lists_its_options(site, run_command, capsys):
    index = (site / "reference" / "commands.html").read_text("utf-8")
    assert re.findall(r'<td><a href="commands/([\w-]+)\.html">', index) == NAMES
    for name in NAMES:
        page = (site / "reference" / "commands" / f"{name}.html").read_text("utf-8")
        with pytest.raises(SystemExit):
            run_command(name, "--help-all")
        options = re.findall(r"^(?:│| ) (?:-h, )?(--\w[\w.-]*)", capsys.readouterr().out, re.M)
        described = html.unescape(" ".join(re.findall(r"<dt><code>(.*?)</code></dt>", page)))
        assert len(options) > 1 or name == "finetune"  # has the flags of a task
        assert set(options) - set(re.findall(r"--\w[\w.-]*", described)) == set(), name
        assert "<dd></dd>" not in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("--search.method", "reference/commands/evaluate-agent.html"),
        ("make_vec", "tutorials/own_agent.html"),
    ],
)
def test_the_search_finds_flags_and_names_without_a_server(site, browser, query, found):
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type(query)
    page.locator(f".md-search-result__link[href$='{found}']").first.wait_for()
    page.close()


def test_the_site_loads_nothing_from_other_hosts(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="([^"]+)', page.read_text())
        assert [url for url in loaded if "//" in url] == [], page


def test_links_lead_to_files(site):
    """Without a server, the browser shows a list of files for a link to a folder."""
    for page in site.rglob("*.html"):
        links = re.findall(r'<a [^>]*href="([^":#?]+)["#?]', page.read_text("utf-8"))
        if page.name != "404.html":  # its links begin at the root of a server
            lost = [link for link in links if not (page.parent / html.unescape(link)).is_file()]
            assert lost == [], page


def test_lists_are_lists(site):
    """A list without an empty line above it becomes part of the paragraph."""
    for page in site.rglob("*.html"):
        text = re.sub(r"<(pre|script|style)\b.*?</\1>", "", page.read_text("utf-8"), flags=re.S)
        assert re.findall(r"\n(?:[*-]|\d+\.) .*", text) == [], page
    for page in (ROOT / "docs").rglob("*.md"):  # a number at the start of a line of an item
        assert re.findall(r"\n +\d+\. .*", page.read_text("utf-8")) == [], page


def test_names_with_dashes_are_marked_in_text_and_not_in_blocks(site):
    text = (site / "agents.html").read_text("utf-8")
    assert '<code><span class="unbroken">--feedback</span></code>' in text
    assert '<code>clipnav <span class="unbroken">train-agent</span> <span' in text
    blocks = re.findall(r"<pre\b.*?</pre>", text, flags=re.S)
    assert blocks
    assert [block for block in blocks if 'class="unbroken"' in block] == []


def test_broken_links_fail_the_build(tmp_path):
    links = ("missing.md", "index.md#missing", "/missing/")
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "index.md"
    page.write_text("# Page\n\n" + "".join(f"[link]({link})\n" for link in links))
    config = tmp_path / "mkdocs.yml"
    config.write_text(
        f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: docs\nhooks: []\nplugins: []\nnav: [index.md]\n"
    )
    done = build(tmp_path / "site", config)
    assert done.returncode == 1
    assert [link for link in links if f"link '{link}'" not in done.stderr] == []
    page.write_text("# Page\n\n[link](index.md#page)\n")
    assert build(tmp_path / "site", config).returncode == 0

"""The board in Chromium, from the files of a round."""

import json
import re
import shutil

import pytest

from clipnav.bench.board import write_board
from clipnav.storage.errors import UserError
from tests.clipnav.bench.conftest import HONEST

STAYS = """
from tests.clipnav.bench.agents import reads_words as make
"""


@pytest.fixture
def results(at_once, play, write_agent, run_command, tmp_path):
    """Round, and folder with the results of two equal agents and of one that stays."""
    agents = [
        write_agent("honest", HONEST),
        write_agent("twin", HONEST),
        write_agent("stays", STAYS),
    ]
    folder, out = play("spring", agents), tmp_path / "results"
    for agent in agents:
        name = agent.partition(":")[0]
        run_command(
            *("bench", "run", "--round", folder, "--agent", agent),
            *("--output", out / f"{name}.json", "--note", f"<b>{name}</b>"),
            *(("--trained-on", "datasets=r2r", "weights=") if name == "stays" else ()),
        )
    return folder, out


def test_the_page_ranks_filters_and_reaches_no_server(results, run_command, tmp_path, browser):
    folder, out = results
    site = tmp_path / "site"
    wrong = json.loads((out / "twin.json").read_text())
    wrong["parts"]["r2r/val_unseen"]["figures"]["SPL"]["mean"] = 1.0
    (out / "wrong.json").write_text(json.dumps(wrong))
    checks = tmp_path / "checks.json"
    again = json.loads((out / "honest.json").read_text())["sha256"]
    checks.write_text(json.dumps({"walked_again": {again: "2026-12-07T12:00:00Z"}}))
    options = "--rounds", folder, "--checks", checks
    with pytest.raises(SystemExit):
        run_command("bench", "board", out, "--output", site, *options)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    problems, requests = [], []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((site / "index.html").as_uri())
    rows = page.locator("#table tbody tr")
    assert rows.count() == 3
    # The twins walk alike, so that they share their places whatever the third one scores.
    texts = rows.all_inner_texts()
    places = {re.split(r"\s+", text.strip())[1]: text.split()[0] for text in texts}
    assert places["honest"] == places["twin"]
    assert "\u2013" in places["honest"]
    checked = {re.split(r"\s+", text.strip())[1]: "walked again" in text for text in texts}
    assert checked == {"honest": True, "twin": False, "stays": False}
    assert sum("scored" in text for text in texts) == 2
    assert page.locator("td.name .kind").first.inner_text().count("\u2020") == 1  # the note
    assert [("training data not known" in text) for text in texts].count(True) == 2
    assert "1 file that is not valid was left out" in page.locator("#footer").inner_text()
    assert page.locator("td.name b").count() == 0  # notes are text
    shown = page.locator("td strong").all_inner_texts()
    record = json.loads((out / "honest.json").read_text())["parts"]["r2r/val_unseen"]
    assert f"{100 * record['figures']['SPL']['mean']:.1f}" in shown

    page.select_option("#metric", label="NE")
    assert "lower is better" in page.locator("#rule").inner_text()
    means = [float(text) for text in page.locator("td strong").all_inner_texts()]
    assert means == sorted(means)
    page.fill("#search", "stays")
    assert rows.count() == 1
    page.click("td.name button")
    headings = page.locator(".details h3").all_inner_texts()
    told = [text[:-1].lower() for text in headings if text[-1] == "\u2020"]
    assert told == ["cost", "trained on", "where"]
    declared = "worlds not known datasets r2r splits not known weights none"
    assert declared in re.sub(r"\s+", " ", page.locator(".details").inner_text())
    link = page.locator(".details a").first.get_attribute("href")
    assert (site / link).read_text() == (out / "stays.json").read_text()
    page.reload()  # the address keeps the choice
    assert page.locator("#metric option:checked").inner_text() == "NE"

    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    before = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    page.click("#theme")
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    after = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    assert before != after
    assert problems == []
    assert {url.partition(":")[0] for url in requests} == {"file"}
    assert "http" not in re.sub(
        r"http://www\.w3\.org/2000/svg", "", (site / "index.html").read_text()
    )


def test_walks_are_exported_for_the_viewer(results, tmp_path):
    folder, out = results
    exported = []

    def export(walks, part, item, page):
        records = {one["instr_id"]: one["trajectory"] for one in json.loads(walks.read_text())}
        exported.append((part.dataset, item, len(records[item]), page.name))
        page.write_text("walk")

    assert write_board(out, tmp_path / "site", [folder], export, 2) == []
    assert len(exported) == 6
    text = (tmp_path / "site" / "index.html").read_text()
    assert all(name in text for *_, name in exported)
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="contains no result file"):
        write_board(tmp_path / "none", tmp_path / "site")
    (tmp_path / "none" / "x.json").write_text("{}")
    with pytest.raises(UserError, match="no result is valid"):
        write_board(tmp_path / "none", tmp_path / "site")


def test_two_rounds_of_one_name_are_refused(results, tmp_path):
    folder, out = results
    other = tmp_path / "copies" / folder.name
    shutil.copytree(folder, other)
    with pytest.raises(UserError, match="is a round of this name, too"):
        write_board(out, tmp_path / "site", [folder, other])

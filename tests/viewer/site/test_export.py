import json
import re

import msgspec
import pytest

from clipnav.envs.pictures.panorama_files import NoPictures
from clipnav.viewer.site.export import export_outcomes, export_page, representative_walks
from clipnav.viewer.site.routes import STATIC
from clipnav.viewer.trace import outcome, trace_json


def held(text):
    """The content of an exported page."""
    found = re.search(r'<script type="application/json" id="bundle">(.*?)</script>', text)
    return json.loads(found.group(1))


def test_a_page_holds_all_it_needs(library, traces, pictures, tmp_path):
    path = tmp_path / "page.html"
    export_page(path, library, pictures, ["train/100_0"], width=1024)
    text = path.read_text("utf-8")
    content = held(text)
    walks = content["traces"]["train/100_0"]
    assert walks["teacher"] == json.loads(trace_json(traces[0]))
    assert [row["key"] for row in content["episodes"]] == ["train/100_0"]
    visited = {f"attic/{v}" for trace in (traces[0], traces[14]) for v in trace.walked}
    assert content["pictures"].keys() == visited
    assert all(p.startswith("data:image/jpeg;base64,") for p in content["pictures"].values())
    assert content["scenes"].keys() == {"attic"}
    # Nothing is loaded from beside the page or from a network.
    assert "/static/" not in text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    imports = json.loads(re.search(r'<script type="importmap">(.*?)</script>', text).group(1))
    modules = {f"viewer/{module.name}" for module in STATIC.glob("*.js")}
    assert imports["imports"].keys() == modules


def test_instructions_cannot_break_out_of_the_page(library, traces, tmp_path):
    wicked = "</script><script>alert(1)</script><!--"
    changed = msgspec.structs.replace(traces[0], instruction=wicked, words=(wicked,), instr_id="x")
    library.add([changed])
    path = tmp_path / "page.html"
    export_page(path, library, NoPictures("none"), ["train/x"])
    text = path.read_text("utf-8")
    assert "<script>alert" not in text
    assert held(text)["episodes"][0]["instruction"] == wicked


def test_a_value_that_is_not_a_number_leaves_the_page_readable(library, traces, tmp_path):
    steps = tuple(msgspec.structs.replace(s, value=float("nan")) for s in traces[0].steps)
    library.add([msgspec.structs.replace(traces[0], instr_id="x", steps=steps)])
    path = tmp_path / "page.html"
    export_page(path, library, NoPictures("none"), ["train/x"])
    assert "NaN" not in path.read_text("utf-8").split('id="bundle">')[1].split("</script>")[0]
    walks = held(path.read_text("utf-8"))["traces"]["train/x"]
    assert walks["teacher"]["steps"][0]["value"] is None


def test_one_success_and_one_failure(library, traces, tmp_path):
    written = export_outcomes(tmp_path, library, NoPictures("none"), "wanderer")
    outcomes = {outcome(trace) for trace in traces[14:]}
    assert "wrong stop" in outcomes
    assert set(written) == outcomes - {"lost"}
    assert written["wrong stop"] == tmp_path / "failure.html"
    longest = max(len(trace.steps) for trace in traces[:14])
    written = export_outcomes(tmp_path, library, NoPictures("none"), "teacher")
    assert written == {"success": tmp_path / "success.html"}
    (walks,) = held(written["success"].read_text("utf-8"))["traces"].values()
    assert len(walks["teacher"]["steps"]) == longest


def test_the_walks_that_tell_most():
    def row(key, outcome, steps, spl=0.0, agent="a"):
        walk = {"outcome": outcome, "steps": steps, "metrics": {"SPL": spl}}
        return {"key": key, "walks": {agent: walk}}

    rows = [
        row("to and fro", "success", 20, 0.3),
        row("short", "success", 4, 1.0),
        row("straight", "success", 6, 0.95),
        row("somebody else's", "success", 9, 1.0, agent="b"),
        row("lost", "lost", 2),
        row("late", "wrong stop", 8),
        row("early", "wrong stop", 5),
    ]
    assert representative_walks(rows, "a") == ("straight", "early")
    assert representative_walks(rows[:1], "a") == ("to and fro", None)
    assert representative_walks(rows[4:5], "a") == (None, "lost")
    assert representative_walks(rows, "nobody") == (None, None)


def test_what_nobody_walked_cannot_be_exported(library, tiny_env, tmp_path):
    library.add_episodes(tiny_env.episodes[:1], "other")
    with pytest.raises(ValueError, match="nobody has walked it"):
        export_page(tmp_path / "page.html", library, NoPictures(""), ["other/100_0"])
    assert not list(tmp_path.iterdir())

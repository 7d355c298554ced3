import http.client
import io
import json
import logging
import threading
from contextlib import contextmanager

import msgspec
import pytest
from PIL import Image

from clipnav.envs.pictures.panorama_files import DrawnPictures, NoPictures
from clipnav.envs.worlds import world_files
from clipnav.storage.errors import UnknownNameError
from clipnav.viewer.site.library import Library, metric_rows
from clipnav.viewer.site.manual_walks import ManualWalks
from clipnav.viewer.site.routes import STATIC, RequestError, SiteRoutes
from clipnav.viewer.site.server import ViewerServer
from clipnav.viewer.trace import KnownMap, KnownNode

KEY = "train/100_0"


@pytest.fixture
def site(library, pictures, tmp_path):
    return SiteRoutes(library, pictures, ManualWalks(library, tmp_path / "traces"))


@pytest.fixture
def server(site):
    with serving(site) as server:
        yield server


@contextmanager
def serving(site, host="127.0.0.1"):
    with ViewerServer(site, host) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    data = json.dumps(body).encode() if isinstance(body, dict | list) else body
    if data is not None:
        headers = {"Content-Type": "application/json", **headers}
    connection.request(method, path, data, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, answer


def reason(server, method, path, body=None, **headers):
    status, content, _ = ask(server, method, path, body, **headers)
    return status, json.loads(content)["error"]


def test_serves_the_page_and_nothing_from_elsewhere(server):
    status, content, answer = ask(server, "GET", "/")
    assert status == 200
    assert content == (STATIC / "index.html").read_bytes()
    assert "default-src 'none'" in answer.getheader("Content-Security-Policy")
    for name in ("app.js", "viewer.css"):
        assert ask(server, "GET", f"/static/{name}")[1] == (STATIC / name).read_bytes()
    assert server.server_address[0] == "127.0.0.1"


def test_the_page_asks_for_its_own_files_only():
    for path in STATIC.iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text
        assert "https://" not in text


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e/server.py",
        "/static//etc/passwd",
        "/../../etc/passwd",
        "/static/",
        "/api/nothing",
    ],
)
def test_no_path_leads_elsewhere(server, path):
    status, why = reason(server, "GET", path)
    assert status == 404
    assert why


@pytest.mark.parametrize(
    ("path", "status", "why"),
    [
        ("/api/trace", 400, "field 'episode' is missing"),
        (f"/api/trace?episode={KEY}", 400, "field 'agent' is missing"),
        ("/api/trace?episode=no&agent=teacher", 404, "episode 'no' does not exist; there are"),
        ("/api/trace?episode=no&agent=teacher", 404, f"such as '{KEY}'; /api/episodes"),
        (f"/api/trace?episode={KEY}&agent=me", 404, "'me' has not walked"),
        ("/api/scene?scan=../../etc", 404, "no episode is in scan"),
        ("/api/picture?scan=attic&viewpoint=../../a0", 404, "no viewpoint '../../a0'"),
        ("/api/picture?scan=attic&viewpoint=a0&width=1e9", 400, "width '1e9' is not one of"),
        ("/api/walk", 405, "does not accept this method"),
    ],
)
def test_bad_questions_are_answered_with_a_reason(server, path, status, why):
    found, text = reason(server, "GET", path)
    assert found == status
    assert why in text


@pytest.mark.parametrize(
    ("path", "body", "status", "why"),
    [
        ("/api/walk", b"{", 400, "not valid JSON"),
        ("/api/walk", [1], 400, "not a JSON object"),
        ("/api/walk", {}, 400, "'episode' is missing"),
        ("/api/walk", {"episode": "no"}, 404, "episode 'no' does not exist"),
        ("/api/walk", {"episode": KEY, "agent": "me"}, 404, "'me' has not walked"),
        (
            "/api/walk",
            {"episode": KEY, "agent": "teacher", "steps": -3},
            400,
            "'steps' is negative",
        ),
        ("/api/act", {"episode": KEY, "action": 0, "step": 0}, 404, "has no walk"),
        ("/api/act", {"episode": KEY, "action": "0"}, 400, "'action' is missing or not an integer"),
        ("/api/act", {"episode": KEY, "action": 0}, 400, "'step' is missing or not an integer"),
        ("/api/follow", {"episode": KEY, "instruction": "Go."}, 400, "no agent can follow"),
        ("/api/site", {}, 405, "does not accept this method"),
        ("/api/walk", b" " * 100_001, 413, "longer than"),
    ],
)
def test_bad_orders_are_answered_with_a_reason(server, path, body, status, why):
    found, text = reason(server, "POST", path, body)
    assert found == status
    assert why in text


def test_pages_of_other_sites_get_nothing(server):
    status, why = reason(server, "GET", "/api/episodes", Host="evil.example:80")
    assert status == 403
    assert "this machine only" in why
    kind = {"Content-Type": "text/plain"}
    assert reason(server, "POST", "/api/walk", b"{}", **kind)[0] == 415
    assert ask(server, "GET", "/api/episodes", Host="localhost")[0] == 200


def test_a_fault_of_ours_is_said_and_survived(server, site, monkeypatch, caplog):
    def broken(query):
        raise RuntimeError("out of luck")

    monkeypatch.setitem(site._gets, "/api/scene", broken)
    with caplog.at_level(logging.ERROR):
        status, why = reason(server, "GET", "/api/scene?scan=attic")
    assert status == 500
    assert "out of luck" in why
    assert ask(server, "GET", "/api/site")[0] == 200


def test_a_browser_that_left_is_no_fault(server, site, monkeypatch, caplog, capsys):
    def left(query):
        raise ConnectionResetError

    monkeypatch.setitem(site._gets, "/api/scene", left)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(server, "GET", "/api/scene?scan=attic")
    assert ask(server, "GET", "/api/site")[0] == 200
    assert caplog.records == []
    assert capsys.readouterr().err == ""


def test_lists_episodes_with_outcomes(server, traces):
    rows = json.loads(ask(server, "GET", "/api/episodes")[1])
    assert len(rows) == 14
    assert rows[0]["key"] == KEY
    assert rows[0]["walks"]["teacher"]["outcome"] == "success"
    assert rows[0]["walks"]["wanderer"]["metrics"]["TL"] == traces[14].steps[-1].metrics["TL"]
    site = json.loads(ask(server, "GET", "/api/site")[1])
    assert site == {
        "agents": ["teacher", "wanderer"],
        "pictures": True,
        "note": "",
        "widths": [1024, 2048, 4096],
        "follower": None,
        "continuous": False,
        "user": "you",
        "metrics": metric_rows(),
    }
    assert [row["name"] for row in site["metrics"] if row["brief"]] == ["NE", "SPL", "nDTW"]


def test_hands_out_traces_scenes_and_pictures(server, traces):
    trace = json.loads(ask(server, "GET", f"/api/trace?episode={KEY}&agent=teacher")[1])
    assert [step["viewpoint"] for step in trace["steps"]] == list(traces[0].walked)
    scene = json.loads(ask(server, "GET", "/api/scene?scan=attic")[1])
    assert len(scene["viewpoints"]) == 10
    assert scene["plan"] is None
    assert ["a0", "a1"] in scene["edges"]
    path = "/api/picture?scan=attic&viewpoint=a0&width=1024"
    status, picture, answer = ask(server, "GET", path)
    assert status == 200
    assert picture[:2] == b"\xff\xd8"
    assert answer.getheader("Content-Type") == "image/jpeg"


def test_the_finest_picture_on_disk_is_sent_at_once(server, site, grey, tmp_path):
    site.pictures = DrawnPictures(grey, lambda scan: tmp_path / scan)
    path = "/api/picture?scan=attic&viewpoint=a0&width=1024&most="
    widths = []
    for most in (4096, 2048, 4096, 1024):
        status, picture, answer = ask(server, "GET", f"{path}{most}")
        assert status == 200
        with Image.open(io.BytesIO(picture)) as image:
            widths.append((image.width, answer.getheader("Cache-Control")))
        ask(server, "GET", "/api/picture?scan=attic&viewpoint=a0&width=2048")
    assert [width for width, _ in widths] == [1024, 2048, 2048, 1024]
    assert ["max-age" in kept for _, kept in widths] == [False, True, False, True]


def test_worlds_without_pictures_say_why(server, site):
    site.pictures = NoPictures("no skyboxes here")
    status, why = reason(server, "GET", "/api/picture?scan=attic&viewpoint=a0")
    assert (status, why) == (404, "no skyboxes here")


def test_own_instructions_are_followed(library, tmp_path, traces):
    asked = []

    def follow(episode):
        asked.append(episode)
        return traces[0]

    pictures = NoPictures("none")
    site = SiteRoutes(library, pictures, ManualWalks(library, tmp_path), follow, "follower")
    order = {"episode": KEY, "instruction": " सोफ़े के पास रुकें। "}
    site.post("/api/follow", {**order, "viewpoint": "a4", "heading": 1.5})
    assert (asked[0].path, asked[0].heading, asked[0].language) == (("a4",), 1.5, "hi")
    assert asked[0].instruction == "सोफ़े के पास रुकें।"
    site.post("/api/follow", {**order, "keep_goal": True})
    assert asked[1].path == traces[0].path
    for change in (
        {"instruction": "  "},
        {"instruction": "x" * 5000},
        {"viewpoint": "b0"},
        {"viewpoint": ["a4"]},
        {"viewpoint": 0},
        {"heading": "north"},
    ):
        with pytest.raises(RequestError):
            site.post("/api/follow", {**order, **change})
    assert len(asked) == 2


def test_instructions_in_buildings_that_the_agent_does_not_know_are_refused(library, tmp_path):
    def follow(episode):
        raise UnknownNameError(f"scan {episode.scan!r} is not loaded")

    site = SiteRoutes(
        library, NoPictures("none"), ManualWalks(library, tmp_path), follow, "follower"
    )
    with pytest.raises(RequestError, match="is not loaded: the agent knows the buildings of its"):
        site.post("/api/follow", {"episode": KEY, "instruction": "Go."})


def test_traces_of_another_world_are_refused(traces):
    with pytest.raises(ValueError, match="--world matterport"):
        Library(world_files("houses"), "r2r").add(traces)


def test_traces_with_viewpoints_that_the_graph_lacks_are_refused(tiny_world, traces):
    first, *others = traces[0].steps
    changed = {
        "candidates": (msgspec.structs.replace(first.candidates[0], viewpoint="z9"),),
        "known_map": KnownMap((KnownNode("z9", False),)),
        "viewpoint": "z9",
    }
    library = Library(world_files("matterport", tiny_world), "r2r")
    for name, value in changed.items():
        step = msgspec.structs.replace(first, **{name: value})
        trace = msgspec.structs.replace(traces[0], steps=(step, *others))
        with pytest.raises(ValueError, match="has no viewpoint 'z9'; the graphs in"):
            library.add([trace])
    assert not library.rows()

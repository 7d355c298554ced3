"""Runs on a fake of Hugging Face's server, with the real client."""

import base64
import hashlib
import json
import os
import re
import resource
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from clipnav import load_run
from clipnav.agents.settings import read_agent_config
from clipnav.envs.metrics.bootstrap import Interval
from clipnav.model_cards import _table, model_card
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import new_folder
from clipnav.storage.shared_runs import MODEL, copy_run, without_folders
from clipnav.storage.tensor_files import CHECKSUM

NAME = "owner/follower"


class Hub(BaseHTTPRequestHandler):
    """Requests of huggingface_hub for one repository; all files travel in the commit."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append(self.path)
        if self.path == "/api/repos/create":
            self.answer({"url": f"{self.server.url}/{NAME}", "name": NAME})
        elif self.path.startswith(f"/api/models/{NAME}/preupload/"):
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = [
                {"path": path, "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for path in paths
            ]
            self.answer({"files": modes})
        elif self.path.startswith(f"/api/models/{NAME}/commit/"):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.server.files[line["value"]["path"]] = content
            url = f"{self.server.url}/{NAME}/commit/{self.server.revision}"
            self.answer({"commitUrl": url, "commitOid": self.server.revision, "success": True})
        else:
            self.answer({})

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        revision, path = self.server.revision, self.path.partition("?")[0]
        tree, resolved = f"/api/models/{NAME}/tree/{revision}", f"/{NAME}/resolve/{revision}/"
        if path in (f"/api/models/{NAME}", f"/api/models/{NAME}/revision/main"):
            self.answer({"id": NAME, "modelId": NAME, "sha": revision, "siblings": []})
        elif path == tree:
            self.answer(
                [
                    {"type": "file", "path": name, "size": len(content), "oid": digest(content)}
                    for name, content in self.server.files.items()
                ]
            )
        elif path.startswith(resolved):
            name = path.removeprefix(resolved)
            self.server.sent.add(name)
            self.send(self.server.files[name], digest(self.server.files[name]))
        else:
            self.send(b'{"error": "Repository not found"}', "none", 404)

    def answer(self, document):
        self.send(json.dumps(document).encode(), "none")

    def send(self, content, etag, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", self.server.revision)
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


def digest(content):
    return hashlib.sha1(content).hexdigest()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.url = f"http://127.0.0.1:{server.server_port}"
        server.files, server.posted, server.sent = {}, [], set()
        server.revision = "0123456789abcdef0123456789abcdef01234567"
        constants = {
            "ENDPOINT": server.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": server.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "hub"),
        }
        for name, value in constants.items():
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
        monkeypatch.setenv("HF_TOKEN", "hf_none")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def run(command, tiny_world, tmp_path):
    """A run of a moment, with the scores of val_unseen."""
    flags = [
        *("--world", "matterport", "--data-dir", tiny_world),
        *("--features", tiny_world / "features.safetensors", "--batch-size", "4", "--threads", "1"),
        *("--evaluation-splits", "val_unseen", "--select-by", "val_unseen", "--iterations", "1"),
        *("--follower.hidden-size", "16", "--follower.embedding-size", "8"),
    ]
    done = command("train-agent", *flags, "--output", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    return tmp_path / "run"


def test_a_run_travels_without_code_and_acts_as_before(hub, run, command, tmp_path, tiny_world):
    done = command("push", run, NAME)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(f"{hub.url}/{NAME}/commit/{hub.revision}")
    kept = {"config.json", "model.safetensors", "vocabulary.json", "metrics.jsonl", "results.json"}
    assert set(hub.files) == {*kept, "README.md"}
    # No folders of this machine, but the data that the run needs.
    assert str(tmp_path) not in "".join(
        content.decode() for name, content in hub.files.items() if "safetensors" not in name
    )
    assert json.loads(hub.files["config.json"])["features"] == "features.safetensors"
    for name in ("code.py", "model.pkl", "trainer.pt"):
        hub.files[name] = b"import os"
    output = tmp_path / "pulled"
    assert command("pull", f"hf:{NAME}", "--output", output).returncode == 0
    assert {path.name for path in output.iterdir()} == {*kept, "README.md"} == hub.sent
    assert (output / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()

    scores = {}
    data = ("--data-dir", tiny_world, "--features", tiny_world / "features.safetensors")
    for source in (run, f"hf:{NAME}"):
        file = tmp_path / "scores.json"
        done = command("evaluate-agent", source, "--no-baselines", "--json", file, *data)
        assert done.returncode == 0, done.stderr
        scores[source] = file.read_text()
    assert scores[run] == scores[f"hf:{NAME}"]

    card = hub.files["README.md"].decode()
    assert card.startswith('---\nlicense: "mit"\nlibrary_name: clipnav\n')
    means = json.loads(scores[run])["results"]["val_unseen"]["follower"]
    # One building has no interval.
    assert f"| val_unseen | follower | {means['TL']:.2f} | {means['NE']:.2f} |" in card
    assert f"clipnav evaluate-agent hf:{NAME}" in card


def test_a_card_has_the_intervals_of_the_scores():
    rows = {"val_unseen": {"follower": {"SR": Interval(0.5, 0.4, 0.625), "NE": Interval(3, 2, 4)}}}
    assert "| split | agent | NE [m] | SR [%] |" in _table(rows)
    assert "| val_unseen | follower | 3.00 (2.00 to 4.00) | 50.0 (40.0 to 62.5) |" in _table(rows)


def test_a_run_on_the_hub_is_loaded_by_its_address(hub, run, command, tiny_world, monkeypatch):
    assert command("push", run, NAME, "--no-evaluate").returncode == 0
    settings = json.loads(hub.files["config.json"])
    settings["data_dir"] = str(tiny_world)
    settings["features"] = str(tiny_world / "features.safetensors")
    hub.files["config.json"] = json.dumps(settings).encode()
    env, agent = load_run(f"hf:{NAME}", "val_unseen")
    assert agent.loaded_for is env
    hub.shutdown()
    hub.server_close()
    load_run(f"hf:{NAME}", "val_unseen")  # from the cache


def test_a_run_travels_by_a_folder(run, command, tmp_path):
    assert command("push", run, f"file:{tmp_path / 'shared'}", "--no-evaluate").returncode == 0
    card = (tmp_path / "shared" / "README.md").read_text()
    assert "| val_unseen | follower | " in card
    done = command("pull", f"file:{tmp_path / 'shared'}", "--output", tmp_path / "back")
    assert done.returncode == 0, done.stderr
    weights = (tmp_path / "back" / "model.safetensors").read_bytes()
    assert weights == (run / "model.safetensors").read_bytes()
    done = command("pull", f"file:{tmp_path / 'shared'}", "--output", tmp_path / "back")
    assert "already exists" in done.stderr


def test_weights_are_halved_on_request(run, command, tmp_path):
    flags = ("--half", "--no-evaluate")
    assert command("push", run, f"file:{tmp_path / 'half'}", *flags).returncode == 0
    with safe_open(run / MODEL, framework="np") as whole:
        with safe_open(tmp_path / "half" / MODEL, framework="np") as half:
            assert {**half.metadata(), CHECKSUM: ""} == {**whole.metadata(), CHECKSUM: ""}
            for name in whole.keys():
                assert half.get_tensor(name).dtype == np.float16
                assert (half.get_tensor(name) == whole.get_tensor(name).astype(np.float16)).all()
    settings = read_agent_config(run)
    _, agent = load_run(tmp_path / "half", "val_unseen", settings)
    assert {weight.dtype for weight in agent.follower.parameters()} == {torch.float32}


@pytest.fixture
def small_run(tmp_path):
    """Files of a run, which no agent can load."""
    folder = tmp_path / "small"
    folder.mkdir()
    save_file({"w": np.zeros(300_000, np.float32)}, folder / MODEL)
    (folder / "config.json").write_text("{}")
    return folder


def link(path):
    (path.parent / "private").write_text("{}")
    path.unlink(missing_ok=True)
    path.symlink_to(path.parent / "private")


@pytest.mark.parametrize(
    ("name", "make", "problem"),
    [
        ("config.json", link, "a link"),
        ("metrics.jsonl", link, "a link"),
        ("README.md", lambda path: path.symlink_to("absent"), "a link"),
        ("vocabulary.json", lambda path: path.symlink_to("/dev/zero"), "a link"),
        ("results.json", os.mkfifo, "not a regular file"),
        ("answers.json", os.mkdir, "not a regular file"),
    ],
)
@pytest.mark.parametrize(
    "words", [("push", "{run}", "file:{out}"), ("pull", "file:{run}", "{out}")]
)
def test_only_regular_files_travel(words, name, make, problem, small_run, command, tmp_path):
    make(small_run / name)
    out = tmp_path / "out"
    verb, source, target = (word.format(run=small_run, out=out) for word in words)
    done = command(verb, source, *(("--output",) if verb == "pull" else ()), target)
    assert f"{small_run / name}: {problem}; replace it by the file itself" in done.stderr
    assert not out.exists()


def test_a_copy_on_a_full_disk_leaves_nothing_and_names_the_copy(small_run, tmp_path):
    size = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, size[1]))
    try:
        with pytest.raises(OSError, match=re.escape(f"{tmp_path / 'out' / MODEL}: cannot be wri")):
            with new_folder(tmp_path / "out") as beside:
                copy_run(small_run, beside)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, size)
    assert list(tmp_path.iterdir()) == [small_run]


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_one_process_at_a_time_writes_a_folder(
    verb, small_run, command, tmp_path, locked_elsewhere
):
    out = tmp_path / "out"
    words = {
        "push": (small_run, f"file:{out}"),
        "pull": (f"file:{small_run}", "--output", out),
    }
    with locked_elsewhere(out) as other:
        done = command(verb, *words[verb])
    assert f"{out}: process {other.pid} " in done.stderr
    assert not out.exists()


def test_weights_that_differ_from_the_card_are_refused(hub, small_run, command, tmp_path):
    shared = tmp_path / "shared"
    assert command("push", small_run, f"file:{shared}").returncode == 0
    hub.files |= {path.name: path.read_bytes() for path in shared.iterdir()}
    weights = bytearray((shared / MODEL).read_bytes())
    weights[-1] ^= 1
    hub.files[MODEL] = bytes(weights)
    (shared / MODEL).write_bytes(weights)
    for address in (f"file:{shared}", f"hf:{NAME}"):
        done = command("pull", address, "--output", tmp_path / "out")
        assert f"{address}: the SHA-256 of {MODEL} is " in done.stderr
        assert "but its model card says" in done.stderr
    assert not (tmp_path / "out").exists()
    done = command("evaluate-agent", f"hf:{NAME}")
    assert f"hf:{NAME}: the SHA-256 of {MODEL} is " in done.stderr


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("/home/jane doe/run/", ""),
        ("/home/jane doe/run", "run"),
        (r"C:\Users\jane\clip", "clip"),
        ("~jane/x", "x"),
        ("file:///home/jane/x", "x"),
        (r"\\server\jane\x", "x"),
        ("local-dir:/home/jane/my clip", "local-dir:my clip"),
        ("--a=/home/jane/x", "--a=x"),
        ("https://example.org/x", "https://example.org/x"),
        ("RN50:openai timm/resnet 1/2 a / b", "RN50:openai timm/resnet 1/2 a / b"),
        ("data/r2r/features.safetensors", "data/r2r/features.safetensors"),
    ],
)
def test_folders_of_this_machine_are_removed(text, without):
    assert without_folders(text) == without


def test_a_card_contains_no_markup_of_settings_and_no_folders(small_run, tmp_path):
    hostile = "# x |\n\n## Verified\n<script>a</script> [y](z) `b` \x1b[2J"
    encoder = {"encoder": f"local-dir:{tmp_path}/clip"}
    save_file({"w": np.zeros(3, np.float32)}, small_run / MODEL, encoder)
    settings = dict.fromkeys(("agent", "dataset", "world", "preset", "command", "seed"), hostile)
    (small_run / "config.json").write_text(json.dumps(settings))
    (small_run / "results.json").write_text(
        json.dumps({"results": {hostile: {hostile: {"SR": 0.5}}}})
    )
    name = f"file:{tmp_path}/<b>x"
    card = model_card(small_run, small_run, name, hostile, evaluate=False)
    _, metadata, body = card.split("---\n", 2)
    assert len(metadata.splitlines()) == 3
    assert not re.search(r"[<>\x1b]|\[y", body)
    assert str(tmp_path) not in card
    headings = [line for line in body.splitlines() if line.startswith("#")]
    assert headings == ["# &#60;b&#62;x", "## Scores", "## Use"]
    assert {line.count("|") for line in body.splitlines() if line.startswith("|")} == {3, 4}
    assert "| Encoder | local-dir:clip |" in body


@pytest.mark.parametrize(
    ("results", "problem"),
    [
        ([], "not a JSON object"),
        ({"results": [1]}, "field 'results' is not an object"),
        ({"results": {"val": {"a": {"SR": "high"}}}}, "SR of a on val is high, not a score"),
        ({"results": {"val": {"a": {"SR": [1]}}}}, "SR of a on val is [1], not a score"),
        ({"results": {"val": {"a": {"SR": True}}}}, "SR of a on val is True, not a score"),
        ({"results": {"val": {"a": {"SR": float("nan")}}}}, "SR of a on val is nan, not a score"),
        ({"results": {"val": {"a": {"SR": 10**400}}}}, "SR of a on val is 1000"),
    ],
)
def test_scores_that_are_no_numbers_are_refused_in_one_line(
    results, problem, small_run, command, tmp_path
):
    (small_run / "results.json").write_text(json.dumps(results))
    done = command("push", small_run, f"file:{tmp_path / 'out'}")
    assert "results.json: " in done.stderr
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert not (tmp_path / "out").exists()


def test_results_without_tables_of_agents_have_no_scores(small_run):
    results = {"results": {"val": {"a": {"SR": None}, "b": 1}, "c": [2], "d": {}}}
    (small_run / "results.json").write_text(json.dumps(results))
    assert "## Scores" not in model_card(small_run, small_run, NAME, "mit", evaluate=False)


@pytest.mark.parametrize("is_set", [False, True])
def test_without_a_network_the_remedy_needs_none(is_set, hub, small_run, command, monkeypatch):
    hub.shutdown()
    hub.server_close()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", is_set)
    problem = "HF_HUB_OFFLINE is set; unset it" if is_set else f"{hub.url} is not reachable; "
    for words, remedy in (
        (("push", small_run, NAME), "push to a folder, file:FOLDER, and upload it later"),
        (("pull", NAME), "pull it on a machine with a network and copy the folder"),
        (("evaluate-agent", f"hf:{NAME}"), "pull it on a machine with a network and copy"),
    ):
        done = command(*words)
        assert f"{NAME}: {problem}" in done.stderr
        assert is_set or remedy in done.stderr
        assert len(done.stderr.splitlines()) <= 2


def test_what_is_no_run_or_not_there_is_refused_in_one_line(hub, command, tmp_path):
    done = command("push", tmp_path, NAME)
    assert f"{tmp_path / 'config.json'}: missing; name the folder of a run" in done.stderr
    done = command("push", tmp_path, "follower")
    assert "follower: not a repository; write OWNER/NAME" in done.stderr
    done = command("evaluate-agent", "hf:owner/absent")
    assert "hf:owner/absent: " in done.stderr
    assert "check the name" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    with pytest.raises(UserError, match="not a repository"):
        load_run("hf:../secret", "val_unseen")

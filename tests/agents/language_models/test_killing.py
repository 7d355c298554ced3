"""A run that is killed at once resumes from the cache; one that is interrupted ends at once."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from clipnav.agents.language_models.models.bodies import BodyMaker
from clipnav.agents.language_models.models.replies import (
    ModelQuestion,
    ReplyCache,
    Spending,
    StopRun,
)
from clipnav.agents.language_models.models.server import ServerModel
from clipnav.agents.language_models.models.transport import Transport
from clipnav.agents.language_models.prompts.messages import Message
from clipnav.agents.language_models.prompts.pictures import PromptPictures
from clipnav.agents.language_models.settings import BudgetConfig, SamplingConfig, ServerConfig
from tests.agents.language_models.servers import Oracle, Sent
from tests.conftest import ROOT

PROGRAM = """
import sys
from clipnav.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.long
def test_a_killed_run_resumes_without_sending_a_request_twice(houses, serve, tmp_path):
    oracle, count, hold = Oracle(houses), itertools.count(), threading.Event()
    waiting = threading.Barrier(3)  # both workers and this test
    answered: list[str] = []

    def answer(body):
        if next(count) >= 20 and not hold.is_set():
            waiting.wait(60)
            hold.wait(60)
            return Sent(500, {}, b"")
        text = oracle(body)
        answered.append(json.dumps(body, sort_keys=True))
        return text

    def command(url, name):
        return [
            *(sys.executable, "-W", "ignore", "-c", PROGRAM, "evaluate-vlm", "--url", url),
            *("--model", "oracle", "--episodes", "12", "--concurrency", "2", "--pictures", "none"),
            *("--output", str(tmp_path / name), "--cache", str(tmp_path / f"{name}-cache")),
        ]

    def run(url, name):
        subprocess.run(command(url, name), check=True, cwd=ROOT, capture_output=True)

    with serve(answer) as server:
        process = subprocess.Popen(
            command(server.url, "killed"),
            cwd=ROOT,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        waiting.wait(60)  # no answer is on its way now
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        hold.set()
        run(server.url, "killed")
        assert len(answered) == len(set(answered))
        run(server.url, "whole")
    files = [(tmp_path / name / "results.json").read_bytes() for name in ("killed", "whole")]
    assert files[0] == files[1]


def test_an_interrupt_ends_the_run_at_once_while_requests_hang(serve, tmp_path):
    hang, asked = threading.Event(), threading.Event()

    def answer(body):
        asked.set()
        hang.wait(60)
        return ""

    with serve(answer) as server:
        arguments = ["--episodes", "12", "--pictures", "none", "--no-probe"]
        process = subprocess.Popen(
            [
                *(sys.executable, "-W", "ignore", "-m", "clipnav", "evaluate-vlm"),
                *("--url", server.url, "--model", "oracle", *arguments),
                *("--output", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")),
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert asked.wait(60)
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=30)  # requests would hang for longer
        hang.set()
    assert process.returncode == 130
    assert "Run the same command again to continue" in printed
    assert "Traceback" not in printed


@pytest.fixture
def listener():
    """Socket of a server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def ask_from_threads(listener, folder):
    """Ask four questions at a time; return the model, the threads and the list of their errors."""
    model = ServerModel(
        f"http://127.0.0.1:{listener.getsockname()[1]}/v1",
        BodyMaker("oracle", PromptPictures(), SamplingConfig()),
        ReplyCache(folder),
        Spending(BudgetConfig()),
        ServerConfig(),
    )
    errors: list[StopRun] = []

    def ask(number):
        try:
            model.reply(ModelQuestion((Message("user", (f"Question {number}",)),), ("A",)))
        except StopRun as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(n,), daemon=True) for n in range(4)]
    for thread in threads:
        thread.start()
    return model, threads, errors


def test_no_thread_waits_for_a_server_that_is_closed_while_it_is_probed(listener, tmp_path):
    model, threads, errors = ask_from_threads(listener, tmp_path)
    connection, _ = listener.accept()
    assert connection.recv(1)  # the probe is under way, and the other threads wait for it
    model.close()
    for thread in threads:
        thread.join(20)
    assert len(errors) == 4
    connection.close()


def test_a_server_that_does_not_answer_is_probed_once(listener, tmp_path, monkeypatch):
    monkeypatch.setattr("clipnav.agents.language_models.models.server._PROBE_SECONDS", 0.1)
    model, threads, errors = ask_from_threads(listener, tmp_path)
    for thread in threads:
        thread.join(20)
    model.close()
    assert len({str(error) for error in errors}) == 1
    assert len(errors) == 4
    listener.accept()[0].close()
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_closed_transport_answers_at_once():
    transport = Transport("http://127.0.0.1:9/v1")
    transport.close()
    transport.close()
    assert transport.get("models", 60.0).status == 0

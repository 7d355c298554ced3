"""A run that is killed at once resumes from the cache."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading

from tests.agents.language_models.servers import Oracle, Sent
from tests.conftest import ROOT

PROGRAM = """
import sys
from clipnav.cli import main
sys.exit(main(sys.argv[1:]))
"""


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

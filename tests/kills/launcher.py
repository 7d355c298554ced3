"""Start commands in forks of a process that has already imported large packages, to save time.

Each request is a line of JSON with the program, its arguments and environment, and a file for its
output; the response is the process id. The response to "wait PID" is the exit status of the
process.
"""

import json
import os
import runpy
import signal
import sys

from agents.learning import (
    speaker_training,  # noqa: F401
)
from encoders import clip  # noqa: F401
from envs.panoramas import ray_tracer  # noqa: F401
from vl_tasks.house_tasks import captions, hypotheses, images, questions  # noqa: F401
from vl_tasks.vqa import learning  # noqa: F401


def run(request: dict) -> None:
    """Execute the command in this process."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(request["environment"])
    sys.argv = [request["program"], *request["arguments"]]
    runpy.run_path(request["program"], run_name="__main__")


def main() -> None:
    """Serve requests until the input ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        word, _, rest = line.partition(" ")
        if word == "wait":
            _, status = os.waitpid(int(rest), 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        process = os.fork()
        if process == 0:
            run(json.loads(line))
            return
        print(process, flush=True)


if __name__ == "__main__":
    main()

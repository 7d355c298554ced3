"""Start commands in forks of a process that has already imported large packages, to save time.

Each request is a line of JSON with the program, its arguments, folder and environment, a file for
its output, and the number of seconds after which it ends with tracebacks; the response is the
process id. The response to "wait PID" is the exit status of the process.
"""

import faulthandler
import json
import multiprocessing.context
import os
import runpy
import signal
import sys

import tests.preloaded  # noqa: F401


def run(request: dict) -> None:
    """Execute the command in this process."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    # Not an alarm: commands use it, too, and waits for locks and processes continue after signals.
    faulthandler.dump_traceback_later(request["seconds"], exit=True, file=2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = [request["program"], *request["arguments"]]
    sys.path[0] = os.path.dirname(request["program"])
    # Workers are forked, too: no rays have been traced, and torch uses a single thread.
    contexts = vars(multiprocessing.context)["_concrete_contexts"]
    contexts["spawn"] = contexts["fork"]
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

"""Two ranks on this machine."""

import os
import subprocess
import sys
from pathlib import Path

from torch.distributed import TCPStore

from tests.launching import Launcher


def torchrun(program: Path, *arguments: object) -> str:
    """Run a program on two ranks by torchrun, within a time limit; return what it prints."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", str(program), *map(str, arguments)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_two_ranks(launcher: Launcher, folder: Path, program: Path, *arguments: object) -> str:
    """Run a program on two ranks like `torchrun`, but without the imports of three processes.

    Its output is written to `folder`.
    """
    # As in torchrun --standalone, this process has the store in which the ranks meet.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    logs = [folder / f"rank{rank}.txt" for rank in range(2)]
    ranks = []
    for rank, log in enumerate(logs):
        environment = {
            **{"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2},
            **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": store.port},
            **{"TORCHELASTIC_RUN_ID": os.getpid(), "TORCHELASTIC_RESTART_COUNT": 0},
            "TORCHELASTIC_USE_AGENT_STORE": True,
        }
        ranks.append(launcher.start(program, [*map(str, arguments)], environment, log))
    statuses = [launcher.wait(process) for process in ranks]
    printed = "".join(log.read_text() for log in logs)
    assert statuses == [0, 0], printed
    return printed

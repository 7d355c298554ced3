"""Two ranks on this machine."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

SCRIPTS = ROOT / "scripts"


def torchrun(program: Path, *arguments: object, seconds: int = 120) -> str:
    """Run a program on two ranks by torchrun, within a time limit; return what it prints."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", str(program), *map(str, arguments)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

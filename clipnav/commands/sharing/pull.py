"""Download a run of clipnav push into a folder.

$ clipnav pull owner/r2r-follower
$ clipnav pull owner/r2r-follower@v1 --output runs/theirs
$ clipnav pull file:/media/stick/follower

Commands that read runs take hf:OWNER/NAME as well, such as clipnav evaluate-agent hf:owner/name;
the run is then in the cache of Hugging Face only. Only safetensors, JSON and the model card are
downloaded; nothing in a repository is executed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from clipnav.parsing import parse
from clipnav.storage.outputs import new_folder
from clipnav.storage.shared_runs import CARD, pull_run, run_name


@dataclass(frozen=True)
class PullConfig:
    """Source and folder of a download."""

    name: tyro.conf.Positional[str]
    """Repository of Hugging Face, OWNER/NAME, or OWNER/NAME@REVISION with a branch, tag or commit;
    or file:FOLDER for a folder."""
    output: Path | None = None
    """New folder of the run; by default runs/NAME."""


def main(arguments: Sequence[str]) -> None:
    """Parse the command line; copy a run from a repository or a folder."""
    config = parse(PullConfig, __name__, __doc__, arguments)
    output = config.output or Path("runs") / run_name(config.name)
    with new_folder(output) as beside:
        pull_run(config.name, beside)
    print(f"Run: {output}")
    if (output / CARD).is_file():
        print(f"Model card: {output / CARD}")

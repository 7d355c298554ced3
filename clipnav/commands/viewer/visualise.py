"""Show what agents see: a page with panoramas, attention, map and metrics of every episode.

$ clipnav visualise runs/demo
$ clipnav visualise runs/one runs/other           # two agents side by side
$ clipnav visualise mine.json --dataset r2r --split val_unseen --data-dir data
$ clipnav visualise --sample                      # a trained agent, without a training
$ clipnav visualise                               # walk by hand
$ clipnav visualise --environment continuous      # walk with the arrow keys
$ clipnav visualise runs/demo --episode 26000_0 --export episode.html --video episode.mp4
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import clipnav.agents
from clipnav.commands.viewer.visualise_config import VisualiseConfig
from clipnav.parsing import parse
from clipnav.storage.errors import UserError
from clipnav.training.settings import CONFIG

# `make sample` trains and packs it.
SAMPLE = Path(clipnav.agents.__file__).parent / "sample_run"
_EPISODES = 24


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    config = parse(VisualiseConfig, __name__, __doc__, arguments)
    if config.sample:
        config = _with_sample(config)
    from clipnav.commands.viewer.episode_viewer import visualise

    visualise(config)


def _with_sample(config: VisualiseConfig) -> VisualiseConfig:
    """Return settings with the sample run as the first source."""
    if not (SAMPLE / CONFIG).is_file():
        raise UserError(
            "--sample: this version of clipnav contains no trained run; train one with clipnav "
            "demo, and show it with clipnav visualise runs/demo"
        )
    episodes = config.episodes or (None if config.writes else _EPISODES)
    return replace(config, sources=(SAMPLE, *config.sources), episodes=episodes)

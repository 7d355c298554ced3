"""Draw an episode of a continuous environment: instruction, plan, colour and depth pictures.

$ clipnav draw-continuous-episode --output episode.png
$ clipnav draw-continuous-episode --dataset rxr --episode 1320000 --output episode.png

The walk is that of the teacher, the greedy expert. docs/continuous.md describes the environments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipnav.parsing import parse
from clipnav.storage.outputs import check_outputs
from clipnav.training.settings import check_counts


@dataclass(frozen=True)
class DrawArguments:
    """Episode to draw, and the output file."""

    output: Path
    """Picture to write (.png or .jpg)."""
    dataset: str = "r2r"
    """Dataset of the instructions, which also chooses the task."""
    split: str = "val_unseen"
    """Split of the episode."""
    world: Literal["houses", "houses-standard"] = "houses"
    """World of the built-in houses."""
    episode: str = ""
    """instr_id of the episode, by default the first one of the split."""
    pictures: int = 4
    """Number of moments to show in colour and depth, at least 2."""

    def __post_init__(self) -> None:
        check_outputs(self, {"output": (".png", ".jpg")})
        check_counts(self, ("pictures",), least=2)


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and draw the episode."""
    from PIL import Image

    from clipnav.envs.continuous.environments.making import make_continuous_env
    from clipnav.envs.continuous.environments.rendering import draw_episode
    from clipnav.storage import atomic_write

    config = parse(DrawArguments, __name__, __doc__, arguments)
    env = make_continuous_env(
        dataset=config.dataset, split=config.split, world=config.world, observe=()
    )
    episode = config.episode or env.core.episodes[0].instr_id
    picture = draw_episode(env, episode, config.pictures)
    kind = "PNG" if config.output.suffix.lower() == ".png" else "JPEG"
    with atomic_write(config.output) as beside:
        Image.fromarray(picture).save(beside, kind)
    print(f"episode {episode} in {config.output}")

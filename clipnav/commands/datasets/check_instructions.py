"""Check the instructions of the built-in episodes with symbolic followers.

$ clipnav check-instructions
$ clipnav check-instructions --scans house_26-house_31
$ clipnav check-instructions --set standard
$ clipnav check-instructions --against R2R_train.json

The houses must be in the cache (clipnav build-houses). An instruction is a success if a symbolic
follower that knows the whole map ends within 3 m of the goal, and clear if all its interpretations
end there. "Online" is the success rate of a follower that sees only what is in sight from where it
stands and never turns back. "Other starts" is the success rate of the texts in other episodes.

With --against, people's texts in R2R's form are compared instead: a naive Bayes classifier tells
the two sides apart, and the words that give the generated texts away are listed. The closer its
accuracy is to 50 %, the more alike the texts are. This needs no house in the cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipnav.parsing import parse


@dataclass(frozen=True)
class CheckConfig:
    """Check the instructions of the built-in episodes with symbolic followers."""

    set: Literal["mini", "standard"] = "mini"
    """House set: the 32 houses in the repository, or 80 houses in the cache."""
    scans: tuple[str, ...] = ()
    """Houses of the set; "house_00-house_03" is a range. Default: all houses."""
    data_dir: Path | None = None
    """Folder of the annotation files. Default: the folder of the set."""
    against: Path | None = None
    """File of people's instructions in R2R's form to tell the R2R-style texts from."""
    split: str = "train"
    """With --against: split whose R2R-style texts are compared."""
    give_aways: int = 20
    """With --against: number of words and pairs of words to list."""
    seed: int = 0
    """With --against: seed of the samples and of the halves of the houses."""


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, check the instructions and print a table."""
    config = parse(CheckConfig, __name__, __doc__, arguments)

    from clipnav.envs.houses.building.sets import HOUSE_SETS
    from clipnav.envs.houses.house_set import expand_scans
    from clipnav.envs.houses.instruction_checks import check_set, compare_texts
    from clipnav.envs.houses.instructions.annotation_files import r2r_path

    house_set = HOUSE_SETS[config.set]
    scans = expand_scans(config.scans, house_set) or list(house_set.specs)
    if config.against:
        folder = config.data_dir or house_set.data_dir
        ours = r2r_path(folder, config.split)
        print(compare_texts(ours, scans, config.against, config.give_aways, config.seed))
    else:
        print(check_set(house_set, scans, config.data_dir))

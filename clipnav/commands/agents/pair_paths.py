"""Pair each RxR path with one in another building whose instructions are similar (CLEAR).

$ clipnav pair-paths --language-representation runs/language-rxr-houses --output runs/pairs
$ clipnav pair-paths --language-representation RUN --output PAIRS --splits train val_seen

The command writes rxr_<split>_guide_multi.jsonl for each split: the guide file with all other
instructions of the path, and the paired path. For the built-in houses, it also writes the visible
objects.
"""

from collections.abc import Sequence

from clipnav.agents.clear.settings import PairPathsConfig
from clipnav.parsing import parse


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and pair paths."""
    config = parse(PairPathsConfig, __name__, __doc__, arguments)
    # Imported here so that --help answers without loading torch.
    from clipnav.agents.clear.pair_files import pair_paths

    pair_paths(config)

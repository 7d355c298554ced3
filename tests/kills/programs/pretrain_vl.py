"""Run `clipnav pretrain-vl` with forked worker processes."""

import sys

from clipnav.cli import main
from tests.kills.forks import use_forks

use_forks()
if __name__ == "__main__":
    sys.exit(main(["pretrain-vl", *sys.argv[1:]]))

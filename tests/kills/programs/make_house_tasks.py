"""Run `clipnav make-house-tasks` with simple houses, also in its worker processes."""

import sys

from clipnav.cli import main
from tests.kills.small_house import use_small_houses

use_small_houses()
if __name__ == "__main__":
    sys.exit(main(["make-house-tasks", *sys.argv[1:]]))

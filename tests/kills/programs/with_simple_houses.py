"""Run a command of clipnav with simple houses, also in its worker processes."""

import sys

from clipnav.cli import main
from tests.kills.small_house import use_small_houses

use_small_houses()
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

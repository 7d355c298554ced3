"""Run a command of clipnav, as `python -m clipnav` does, from a file."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The command `clipnav check-instructions` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["check-instructions", *sys.argv[1:]]))

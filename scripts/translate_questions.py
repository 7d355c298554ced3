"""The command `clipnav translate-questions` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["translate-questions", *sys.argv[1:]]))

"""The command `clipnav evaluate-vlm` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate-vlm", *sys.argv[1:]]))

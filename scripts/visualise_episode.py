"""The command `clipnav visualise` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["visualise", *sys.argv[1:]]))

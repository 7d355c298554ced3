"""The command `clipnav build-houses` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["build-houses", *sys.argv[1:]]))

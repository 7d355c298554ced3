"""The command `clipnav convert-clip-vil-p` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert-clip-vil-p", *sys.argv[1:]]))

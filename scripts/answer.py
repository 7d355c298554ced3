"""The command `clipnav answer` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["answer", *sys.argv[1:]]))

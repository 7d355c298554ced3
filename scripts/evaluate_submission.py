"""The command `clipnav evaluate-submission` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate-submission", *sys.argv[1:]]))

"""The command `clipnav evaluate-continuous-agent` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate-continuous-agent", *sys.argv[1:]]))

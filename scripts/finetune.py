"""The command `clipnav finetune` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["finetune", *sys.argv[1:]]))

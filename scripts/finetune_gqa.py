"""The command `clipnav finetune-gqa` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["finetune-gqa", *sys.argv[1:]]))

"""The command `clipnav finetune-vlm` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["finetune-vlm", *sys.argv[1:]]))

"""The command `clipnav finetune-vqa` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["finetune-vqa", *sys.argv[1:]]))

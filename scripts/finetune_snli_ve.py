"""The command `clipnav finetune-snli-ve` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["finetune-snli-ve", *sys.argv[1:]]))

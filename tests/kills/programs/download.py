"""Fetches a file: URL, PATH and SHA-256."""

from complaints import complaints_in_a_line

import sys
from pathlib import Path

from storage.download import fetch

if __name__ == "__main__":
    with complaints_in_a_line():
        fetch(sys.argv[1], Path(sys.argv[2]), sys.argv[3], bar=False, pause=0.1)

"""Download a file; arguments: URL, PATH and SHA-256."""

import sys
from pathlib import Path

from clipnav.errors import friendly_errors
from clipnav.storage.downloads import fetch

if __name__ == "__main__":
    with friendly_errors():
        fetch(sys.argv[1], Path(sys.argv[2]), sys.argv[3], bar=False, pause=0.1)

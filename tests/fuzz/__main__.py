"""Reads files that may be damaged, as lines on the standard input ask for, in bounded memory.

$ python tests/fuzz FOLDER

A request is the name of a reader; the answer is a line of JSON: the file to be damaged the first
time, what became of reading it from then on.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import feature_files
import navigation_files
import picture_files
import run_files
import task_files

READERS = {
    reader.__name__: reader
    for module in (navigation_files, feature_files, run_files, task_files, picture_files)
    for reader in module.READERS
}
# Each reading starts a process.
SLOW = ("features_hdf5", "features_hdf5_packed")

# Bytes that a reader may map besides what the imports take.
MEMORY = 1 << 30
# What the commands print in a line, see scripts/complaints.py.
EXPECTED = (OSError, ValueError, KeyError)


def outcome(read, path):
    try:
        read()
    except EXPECTED as error:
        message = str(error.args[0]) if isinstance(error, KeyError) else str(error)
        is_sound = path.name in message and "\n" not in message and len(message) < 2000
        where = "" if is_sound else traceback.format_exc()
        return {"outcome": "refused" if is_sound else "unclear", "message": message + where}
    except BaseException:
        return {"outcome": "escaped", "message": traceback.format_exc()}
    return {"outcome": "read", "message": ""}


def main(folder):
    import resource

    import torch
    import trimesh  # noqa: F401

    import storage.features.hdf5_rows

    storage.features.hdf5_rows._PATIENCE = 4.0
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what readers print is no answer
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    samples = {}
    for line in sys.stdin:
        name = line.strip()
        if name in samples:
            resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, resource.RLIM_INFINITY))
            answer = outcome(samples[name][1], samples[name][0])
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        else:
            place = folder / name
            place.mkdir(parents=True)
            samples[name] = READERS[name](place)
            samples[name][1]()  # a sound file is read
            answer = {"path": str(samples[name][0])}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

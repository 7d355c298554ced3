"""Read damaged files with limited memory, on requests from the standard input.

$ python tests/fuzz FOLDER

A request is the name of a reader. The response is a line of JSON: for the first request of a
reader, the path of the file to damage; for later ones, the outcome of reading it.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import feature_files
import navigation_files
import picture_files
import pretraining_files
import reliability_files
import run_files
import task_files
from samples import Sample

from clipnav.errors import _is_expected, _message

MODULES = (
    navigation_files,
    feature_files,
    run_files,
    task_files,
    picture_files,
    pretraining_files,
    reliability_files,
)
READERS = {
    name: function
    for module in MODULES
    for name, function in vars(module).items()
    if not name.startswith("_") and getattr(function, "__annotations__", {}).get("return") == Sample
}
# Readers that start a process for each file.
SLOW = (
    "features_hdf5",
    "features_hdf5_packed",
    "features_lmdb",
    "features_lmdb_packed",
    "uniter_texts",
)

# Bytes that a reader may map in addition to the imports.
MEMORY = 1 << 30


def outcome(read, path):
    try:
        read()
    except Exception as error:
        if not _is_expected(error):  # commands would print its traceback
            return {"outcome": "traceback", "message": traceback.format_exc()}
        message = str(_message(error))
        # Of two files that contradict each other, such as settings and weights, it may name either.
        names = path.name in message or str(path.parent) in message
        is_clear = names and "\n" not in message and len(message) < 2000
        where = "" if is_clear else traceback.format_exc()
        return {"outcome": "refused" if is_clear else "unclear", "message": message + where}
    except BaseException:
        return {"outcome": "escaped", "message": traceback.format_exc()}
    return {"outcome": "read", "message": ""}


def main(folder):
    import resource

    import torch
    import trimesh  # noqa: F401

    import clipnav.storage.features.isolated_files

    clipnav.storage.features.isolated_files._PATIENCE = 4.0
    torch.set_num_threads(1)
    responses = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # output of readers must not mix with responses
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    samples = {}
    for line in sys.stdin:
        name = line.strip()
        if name in samples:
            resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, resource.RLIM_INFINITY))
            response = outcome(samples[name][1], samples[name][0])
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        else:
            sample_folder = folder / name
            sample_folder.mkdir(parents=True)
            samples[name] = READERS[name](sample_folder)
            samples[name][1]()  # checks that the undamaged file is read
            response = {"path": str(samples[name][0])}
        responses.write(json.dumps(response) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

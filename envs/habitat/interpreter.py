"""The Python that habitat-sim is installed in, which is usually not that of clipnav.

habitat-sim's packages exist for conda and end at Python 3.9, so it runs in an environment of its
own. The user names that environment by an argument or in CLIPNAV_HABITAT_PYTHON.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

VARIABLE = "CLIPNAV_HABITAT_PYTHON"
INSTALL = (
    "install habitat-sim into a conda environment of its own, because no package fits the Python "
    "of clipnav (conda create -n habitat python=3.9; conda install -n habitat habitat-sim headless "
    f"-c conda-forge -c aihabitat), and name it with {VARIABLE}=habitat; clipnav habitat-server "
    "--check reports what is missing"
)


def habitat_python(name: str | Path | None = None) -> Path:
    """Return the interpreter that imports habitat-sim; it is not started.

    Args:
        name: Python interpreter, folder of a virtual or conda environment, or name of a conda
            environment. None for the value of CLIPNAV_HABITAT_PYTHON, or else for this interpreter
            if habitat-sim is installed in it.
    """
    if sys.platform == "win32":
        raise ModuleNotFoundError(
            "habitat-sim: there is no package for Windows; use Linux or macOS, or the Windows "
            "Subsystem for Linux (WSL)"
        )
    name = name or os.environ.get(VARIABLE)
    if not name:
        if importlib.util.find_spec("habitat_sim") is None:
            raise ModuleNotFoundError(f"habitat-sim is not installed; {INSTALL}")
        return Path(sys.executable)
    path = Path(os.path.expanduser(name))
    if path.is_dir():
        return _python_in(path)
    if path.is_file() and os.access(path, os.X_OK):
        return path.absolute()  # a name without a folder would be searched in PATH
    known = {} if os.sep in str(name) else _conda_environments()
    if str(name) in known:
        return _python_in(known[str(name)])
    names = f" (conda has {', '.join(sorted(known))})" if known else ""
    raise FileNotFoundError(
        f"{name}: neither a Python interpreter, the folder of an environment, nor the name of a "
        f"conda environment{names}; correct {VARIABLE} or the argument"
    )


def _python_in(folder: Path) -> Path:
    path = folder / "bin" / "python"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: this environment has no Python; name another folder")
    return path


def _conda_environments() -> dict[str, Path]:
    """Return the folders of conda's environments by name; none if there is no conda."""
    conda = os.environ.get("CONDA_EXE") or shutil.which("conda") or shutil.which("mamba")
    if conda is None:
        return {}
    command = [conda, "env", "list", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {}
    return {Path(folder).name: Path(folder) for folder in json.loads(done.stdout)["envs"]}

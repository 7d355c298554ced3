"""Check the installation, and print what a bug report should contain.

$ clipnav doctor
$ clipnav doctor --data-dir data
$ clipnav doctor runs/r2r-houses features.safetensors    # compare files with their checksums

The report has versions, processor, memory, GPU, optional packages, programs, data and caches. The
exit status is 1 if something is missing without which no command works; such lines contain
"PROBLEM". The report contains paths, which you may want to shorten before you publish it. If files
are named, only they are checked.
"""

import os
import platform
import shutil
import sys
import webbrowser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Annotated, NamedTuple

import tyro
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from clipnav.parsing import parse
from clipnav.storage import cache_dir
from clipnav.storage.errors import UserError
from clipnav.storage.processes import usable_cpus

_CHECKED = (".safetensors", ".pt", ".pth")
# Purpose of each optional dependency.
EXTRAS = {
    "formats": "feature files in HDF5 and LMDB",
    "video": "videos as mp4",
    "window": 'render_mode="human"',
    "rerun": "logs for the rerun viewer",
    "demonstrations": "exports for LeRobot and Uni-NaVid",
    "finetuning": "clipnav finetune-vlm",
    "language-models": "clipnav evaluate-vlm --url",
    "gguf": "clipnav evaluate-vlm --local-model FILE.gguf",
    "tensorboard": "--track tensorboard",
    "wandb": "--track wandb",
    "trackio": "--track trackio",
    "ray": "clipnav extract-features --engine ray",
    "bench": "benchmarks, and the encoder efficientnet-lite0",
    "caption-metrics": "METEOR and SPICE, with Java",
    "easy-vqa": "clipnav convert-easy-vqa",
    "translation": "clipnav translate-questions",
    "fastdtw": "--dtw fastdtw",
    "docs": "the documentation site",
}


@dataclass(frozen=True)
class DoctorConfig:
    """Files and folders to look at."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Files (.safetensors, .pt, .pth) to compare with their checksums, or folders of such files."""
    data_dir: Path = Path("data")
    """Data folder of world matterport."""


class Line(NamedTuple):
    """What was looked at, what was found, and whether no command works without it."""

    name: str
    text: str
    is_problem: bool = False


def _versions() -> Iterator[Line]:
    yield Line("clipnav", f"{version('clipnav')} in {Path(__file__).resolve().parents[3]}")
    yield Line("Python", f"{platform.python_version()} at {sys.executable}")
    yield Line("system", platform.platform())
    for name, found, needed in _required():
        if found is None:
            yield Line(name, f"missing: pip install '{name}{needed}'", is_problem=True)
        elif not needed.contains(found, prereleases=True):
            text = f"{found}, but {needed} is required: pip install '{name}{needed}'"
            yield Line(name, text, is_problem=True)
        else:
            yield Line(name, found)


def _required(extra: str = "") -> Iterator[tuple[str, str | None, SpecifierSet]]:
    """Yield name, installed version and permitted versions of the packages of an extra.

    Without an extra, they are the packages that are always required.
    """
    for one in map(Requirement, requires("clipnav") or ()):
        is_optional = "extra" in str(one.marker)
        if is_optional != bool(extra) or (one.marker and not one.marker.evaluate({"extra": extra})):
            continue
        try:
            yield one.name, version(one.name), one.specifier
        except PackageNotFoundError:
            yield one.name, None, one.specifier


def _machine() -> Iterator[Line]:
    try:
        import torch

        from clipnav.encoders.precision import multiplies_bf16
        from clipnav.experiments.records import machine
    except Exception as error:  # a broken installation of torch raises errors of many types
        yield Line("torch", f"cannot be imported ({error})", is_problem=True)
        return
    cpu = torch.device("cpu")
    bf16 = "multiplies bf16" if multiplies_bf16(cpu) else "no bf16 products"
    processor = f"{machine()['processor']}, {torch.backends.cpu.get_cpu_capability()}, {bf16}"
    yield Line("processor", processor)
    yield Line("threads", f"{torch.get_num_threads()} of torch, {usable_cpus()} cores usable")
    if hasattr(os, "sysconf"):  # not on Windows
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        yield Line("memory", f"{size / 2**30:.1f} GiB")
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            found = torch.cuda.get_device_properties(number)
            size = found.total_memory / 2**30
            yield Line(f"cuda:{number}", f"{found.name}, {size:.0f} GiB, CUDA {torch.version.cuda}")
    elif torch.backends.mps.is_available():
        yield Line("mps", "available")
    else:
        yield Line("GPU", "none that torch can use; everything runs on the CPU")


def _extras() -> Iterator[Line]:
    for name, purpose in EXTRAS.items():
        absent = [
            package
            for package, found, needed in _required(name)
            if found is None or not needed.contains(found, prereleases=True)
        ]
        if absent:
            hint = f"without {', '.join(absent)}: pip install 'clipnav[{name}]'"
            yield Line(name, f"{purpose}: {hint}")
        else:
            yield Line(name, f"{purpose}: installed")


def _programs() -> Iterator[Line]:
    try:
        found = getattr(webbrowser.get(), "name", "found")
    except webbrowser.Error:
        found = "none: open the address that clipnav visualise prints on a machine with one"
    yield Line("browser", found)
    for name, purpose in {
        "ffmpeg": "videos; the extra video has its own",
        "java": "METEOR",
    }.items():
        yield Line(name, shutil.which(name) or f"not found ({purpose})")


def _data(data_dir: Path) -> Iterator[Line]:
    from clipnav.envs.houses.building.house import GENERATOR_VERSION
    from clipnav.envs.houses.building.sets import STANDARD
    from clipnav.envs.worlds import world_files
    from clipnav.storage.features.opening import open_store

    try:
        files = world_files("houses")
        count = len(open_store(files.features).keys)  # pyright: ignore[reportArgumentType]
        graphs = len(list(files.connectivity_dir.glob("*_connectivity.json")))
        text = f"version {GENERATOR_VERSION}, {graphs} houses, features of {count} viewpoints"
        yield Line("houses", text)
    except (OSError, ValueError) as error:
        yield Line("houses", f"{error}; install clipnav again", is_problem=True)
    is_built = STANDARD.connectivity_dir.is_dir()
    missing = "not built: clipnav build-houses --set standard"
    yield Line("houses-standard", f"in {STANDARD.data_dir}" if is_built else missing)
    parts = {"graphs": "matterport/connectivity", "r2r": "r2r", "rxr": "rxr"}
    found = [name for name, folder in parts.items() if (data_dir / folder).is_dir()]
    text = f"{', '.join(found)} in {data_dir}" if found else f"none in {data_dir}"
    yield Line("matterport", f"{text}{'' if len(found) == 3 else ' (clipnav download-data)'}")


def _caches() -> Iterator[Line]:
    from huggingface_hub.constants import HF_HUB_CACHE

    cache = cache_dir()
    nearest = next(one for one in (cache, *cache.parents) if one.exists())
    if not os.access(nearest, os.W_OK):
        yield Line("clipnav", f"{cache}: writing is not permitted; set CLIPNAV_CACHE", True)
    else:
        free = shutil.disk_usage(nearest).free
        yield Line("clipnav", f"{cache}: {_size(cache)}, {free / 1e9:.1f} GB free on its disk")
    for folder in sorted(cache.iterdir()) if cache.is_dir() else ():
        yield Line(f"  {folder.name}", _size(folder))
    yield Line("Hugging Face", f"{HF_HUB_CACHE}: {_size(Path(HF_HUB_CACHE))}")


def _files(paths: Sequence[Path]) -> Iterator[Line]:
    from clipnav.storage.tensor_files import check_content
    from clipnav.storage.torch_files import open_torch_file

    hint = "copy or download it again"
    for path in paths:
        if path.is_dir():
            found = sorted(one for one in path.rglob("*") if one.suffix in _CHECKED)
            yield from _files(found)
            continue
        try:
            if path.suffix == ".safetensors":
                is_known = check_content(path, hint)
            else:
                with open_torch_file(path, hint) as file:
                    is_known = file.check()
        except (UserError, OSError) as error:
            yield Line(str(path), str(error), is_problem=True)
        else:
            yield Line(str(path), "as written" if is_known else "readable; it has no checksum")


def _size(folder: Path) -> str:
    size = sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    )
    return f"{size / 1e6:.1f} MB"


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and print the report; return the exit status."""
    config = parse(DoctorConfig, __name__, __doc__, arguments)
    sections = (
        {"Files": _files(config.files)}
        if config.files
        else {
            "Versions": _versions(),
            "Machine": _machine(),
            "Optional packages": _extras(),
            "Programs": _programs(),
            "Data": _data(config.data_dir),
            "Caches": _caches(),
        }
    )
    problems = 0
    for title, section in sections.items():
        lines = list(section)
        print(f"{title}:")
        width = max((len(line.name) for line in lines), default=0)
        for line in lines:
            mark = "PROBLEM " if line.is_problem else ""
            print(f"  {line.name:<{width}}  {mark}{line.text}")
        problems += sum(line.is_problem for line in lines)
    print("No problems." if not problems else f"Problems: {problems}")
    return int(problems > 0)

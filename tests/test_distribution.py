"""The wheel and the sdist are complete: both are built, and the wheel runs outside the checkout."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

# A PYTHONPATH with the checkout would hide the installed packages.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
# Files that only developers need, and that no package contains.
UNPACKAGED = ("tests/", "scripts/", "benchmarks/", "docs/", ".ci/", "README.md", "Makefile")


@pytest.fixture(scope="module")
def distributions(tmp_path_factory) -> dict[str, Path]:
    """Wheel and sdist of the files that git tracks or does not know yet."""
    folder = tmp_path_factory.mktemp("distribution")
    source = folder / "source"
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    words = [sys.executable, "-m", "build", "--outdir", str(folder), str(source)]
    done = subprocess.run(words, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    assert not re.search("warning|deprecat", printed, re.IGNORECASE), printed
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


def tracked() -> list[str]:
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def packaged() -> set[str]:
    """Files of the wheel: all in folders with an `__init__.py`, within the package clipnav."""
    files = {
        name
        for name in tracked()
        if not name.startswith(UNPACKAGED)
        and (ROOT / Path(name).parts[0] / "__init__.py").is_file()
    }
    return {name if name.startswith("clipnav/") else f"clipnav/{name}" for name in files}


@pytest.mark.long
def test_the_wheel_contains_all_files_of_the_packages(distributions):
    with zipfile.ZipFile(distributions["wheel"]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == packaged()


@pytest.mark.long
def test_the_sdist_contains_the_project(distributions):
    with tarfile.open(distributions["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {name for name in tracked() if not name.startswith(".")} <= names


@pytest.fixture(scope="module")
def installed(distributions, tmp_path_factory) -> Path:
    """Folder `bin` of an environment with the wheel, and the dependencies of this environment."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], env=ENVIRONMENT, check=True)
    python = folder / "bin" / "python"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    words = [str(python), *install, str(distributions["wheel"])]
    subprocess.run(words, env=ENVIRONMENT, check=True)
    # A path file adds the folder, but does not execute the path files in it, such as the one of
    # the editable installation of this checkout.
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin"


@pytest.fixture
def run(installed, tmp_path):
    """Run a program of the environment outside of the checkout."""

    def run(*words: str) -> str:
        done = subprocess.run(
            [str(installed / words[0]), *words[1:]],
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.long
def test_the_installed_package_is_that_of_the_wheel(run, installed):
    program = "import clipnav.agents; print(clipnav.__file__, clipnav.agents.__file__)"
    assert run("python", "-c", program).count(str(installed.parent)) == 2


@pytest.mark.long
def test_the_installed_environment_runs(run):
    program = """
import gymnasium, clipnav
env = gymnasium.make("R2R-CLIP-v0")
_, info = env.reset(seed=0)
print(len(env.step(info["teacher_action"])))
"""
    assert run("python", "-c", program) == "5\n"


@pytest.mark.long
def test_the_installed_command_trains_and_shows_an_episode(run, installed, tmp_path):
    assert "train-agent" in run("clipnav", "--help")
    flags = ("--iterations", "2", "--batch-size", "8", "--threads", "1", "--output", "run")
    run("clipnav", "train-agent", *flags)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert set(results["results"]) == {"val_seen", "val_unseen"}
    words = [str(installed / "clipnav"), "visualise", "--port", "0", "--no-browser"]
    with subprocess.Popen(
        words, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as viewer:
        assert viewer.stdout is not None
        try:
            url = (
                next(line for line in viewer.stdout if "http://" in line).split(": ")[1].split()[0]
            )
            with urllib.request.urlopen(url, timeout=60) as answer:
                assert "<!doctype html>" in answer.read().decode().lower()
        finally:
            viewer.terminate()


@pytest.fixture(scope="module")
def index(distributions, tmp_path_factory) -> Path:
    """Folder of the wheel and of empty wheels of all that it requires."""
    folder = tmp_path_factory.mktemp("index")
    wheel = shutil.copy(distributions["wheel"], folder)
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = file.read(name).decode()
    for required in re.findall(r"^Requires-Dist: ([\w.-]+)(?!.*extra ==)", metadata, re.MULTILINE):
        version = importlib.metadata.version(required)
        stem = f"{required.replace('-', '_')}-{version}"
        about = f"Metadata-Version: 2.1\nName: {required}\nVersion: {version}\n"
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        parts = {"METADATA": about, "WHEEL": tags, "RECORD": ""}
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as empty:
            for part, text in parts.items():
                empty.writestr(f"{stem}.dist-info/{part}", text)
    return folder


@pytest.mark.long
def test_uvx_runs_the_command_from_an_index_without_an_installation(index, tmp_path):
    if shutil.which("uvx") is None:
        pytest.skip("uvx is not installed")
    words = ["uvx", "--python", sys.executable, "--no-index", "--find-links", str(index)]
    # The modules of the empty wheels are those of this environment.
    modules = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    environment = {**ENVIRONMENT, "PYTHONPATH": modules}
    environment |= {"UV_CACHE_DIR": str(tmp_path / "uv")}
    done = subprocess.run(
        [*words, "clipnav", "bench", "suites"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "graph@2" in done.stdout


def locations(script: Path, environment: dict[str, str]) -> set[Path]:
    """Checkouts from which a script imports a module of `clipnav` and one of the folders beside."""
    script.write_text(
        "import clipnav.cli, clipnav.storage.errors as errors\n"
        "print(clipnav.cli.__file__, errors.__file__, clipnav.make.__module__, sep='\\n')"
    )
    words = [sys.executable, str(script)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    command, errors, _ = done.stdout.splitlines()
    return {Path(command).resolve().parents[1], Path(errors).resolve().parents[1]}


def test_a_script_beside_a_checkout_finds_the_installed_package(tmp_path):
    """The folder of the script contains the checkout, which is no package, under the same name."""
    (tmp_path / "clipnav").symlink_to(ROOT, target_is_directory=True)
    assert len(locations(tmp_path / "script.py", ENVIRONMENT)) == 1


def test_two_checkouts_do_not_mix(tmp_path):
    other = tmp_path / "other"
    for name in tracked():
        if name.endswith((".py", ".pyi")) and not name.startswith(UNPACKAGED):
            (other / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, other / name)
    assert locations(tmp_path / "script.py", {**ENVIRONMENT, "PYTHONPATH": str(other)}) == {other}
    assert locations(other / "script.py", ENVIRONMENT) == {other}


def test_a_checkout_has_the_same_line_ends_on_every_system():
    """Digests of data files and tests compare bytes; Git for Windows writes CRLF by default."""
    words = ["git", "check-attr", "eol", "--", "connectivity/scans.txt", "envs/houses/data"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["lf", "lf"]

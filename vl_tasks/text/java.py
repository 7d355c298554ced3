"""Java programs of the COCO caption evaluation: PTBTokenizer, METEOR and SPICE of pycocoevalcap.

The Python wrappers of that package are not used: that of METEOR hangs when the standard error
stream fills, that of SPICE downloads half a gigabyte in its constructor, and that of the tokenizer
writes into the installed package.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from tempfile import TemporaryDirectory
from threading import Thread, Timer

HINT = "install a Java runtime, and pycocoevalcap: pip install 'clipnav[caption-metrics]'"
_TOKENIZER_JAR = Path("tokenizer", "stanford-corenlp-3.4.1.jar")
_METEOR_JAR = Path("meteor", "meteor-1.5.jar")
_SPICE_JAR = Path("spice", "spice-1.0.jar")
_PARSER = "stanford-corenlp-3.6.0"
_PARSER_SOURCE = "https://nlp.stanford.edu/software/stanford-corenlp-full-2015-12-09.zip"
_JAVA = ("java", "-Dfile.encoding=UTF-8")  # before Java 18 the default is that of the system
_SECONDS = 600.0  # METEOR takes 20 s to start on a busy machine
_SECONDS_PER_CAPTION = 2.0

Exchange = Callable[[Sequence[str], int], list[str]]


def java_ready() -> bool:
    """Return whether Java and the jars of pycocoevalcap are installed, and Java starts."""
    java = shutil.which("java")
    return java is not None and _package() is not None and _starts(java)


def ptb_lines(captions: Sequence[str]) -> list[str]:
    """Tokenise captions, each a single line, into lower-case Penn Treebank tokens."""
    if not captions:
        return []
    command = ["-cp", str(_jar(_TOKENIZER_JAR)), "edu.stanford.nlp.process.PTBTokenizer"]
    text = "".join(f"{caption}\n" for caption in captions)
    lines = _run([*command, "-preserveLines", "-lowerCase"], text, len(captions)).split("\n")
    if len(lines) != len(captions) + 1:
        raise ChildProcessError(
            f"PTBTokenizer returned {len(lines) - 1} lines for {len(captions)} captions"
        )
    return lines[:-1]


def meteor(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Compute METEOR 1.5 of each tokenised caption; the last value is the corpus score."""
    jar = _jar(_METEOR_JAR)
    command = ["-Xmx2G", "-jar", str(jar), "-", "-", "-stdio", "-l", "en", "-norm"]
    requests = [
        " ||| ".join(["SCORE", *(_field(r) for r in texts), _field(prediction)])
        for prediction, texts in zip(predictions, references, strict=True)
    ]
    with _running_java(command, len(predictions)) as exchange:
        statistics = exchange(requests, len(requests))
        evaluation = " ||| ".join(["EVAL", *statistics])
        return [float(score) for score in exchange([evaluation], len(requests) + 1)]


def spice(predictions: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> list[float]:
    """Compute SPICE 1.0 (F-score of scene graphs) of each tokenised caption.

    The corpus score is the mean.
    """
    jar = _jar(_SPICE_JAR)
    for name in (f"{_PARSER}.jar", f"{_PARSER}-models.jar"):
        if not (jar.parent / "lib" / name).is_file():
            raise FileNotFoundError(
                f"{jar.parent / 'lib' / name}: SPICE requires this file; download it from "
                f"{_PARSER_SOURCE}"
            )
    records = [
        {"image_id": key, "test": text, "refs": list(references[key])}
        for key, text in predictions.items()
    ]
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "captions.json"), Path(folder, "scores.json")
        source.write_text(json.dumps(records), encoding="utf-8")
        files = [str(source), "-out", str(target)]
        _run(["-Xmx8G", "-jar", str(jar), *files, "-subset", "-silent"], "", len(records))
        scores = {one["image_id"]: one["scores"] for one in json.loads(target.read_text("utf-8"))}
    return [float(scores[key]["All"]["f"]) for key in predictions]


@contextmanager
def _running_java(arguments: list[str], captions: int) -> Iterator[Exchange]:
    """Run a Java program and return a function that writes lines and reads a number of lines."""
    command = [*_JAVA, *arguments]
    with Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, encoding="utf-8") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        into, out = process.stdin, process.stdout
        timer = Timer(_seconds(captions), process.kill)
        timer.start()

        def write(lines: Sequence[str]) -> None:
            with suppress(BrokenPipeError):  # the reading thread reports the end of the program
                into.writelines(f"{line}\n" for line in lines)
                into.flush()

        def exchange(lines: Sequence[str], count: int) -> list[str]:
            # Write in a thread: the program responds before it has read all lines, and a full
            # output pipe would block it.
            Thread(target=write, args=(lines,), daemon=True).start()
            received = [line for _ in range(count) if (line := out.readline())]
            if len(received) < count:
                raise ChildProcessError(f"{' '.join(command)}: ended after {len(received)} lines")
            return [line.strip() for line in received]

        try:
            yield exchange
        finally:
            timer.cancel()
            process.kill()


def _seconds(captions: int) -> float:
    return _SECONDS + _SECONDS_PER_CAPTION * captions


def _field(caption: str) -> str:
    return " ".join(caption.replace("|||", " ").split())


def _run(arguments: list[str], text: str, captions: int) -> str:
    """Run Java with a text as standard input and return its standard output."""
    seconds = _seconds(captions)
    try:
        completed = subprocess.run(
            [*_JAVA, *arguments],
            input=text.encode(),
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ChildProcessError(
            f"java {' '.join(arguments)}: still running after {seconds:.0f} s"
        ) from error
    if completed.returncode:
        last = completed.stderr.decode(errors="replace").strip().splitlines()[-3:]
        raise ChildProcessError(f"java {' '.join(arguments)} failed: {' / '.join(last)}")
    return completed.stdout.decode().replace(os.linesep, "\n")


def _jar(name: Path) -> Path:
    """Return the path of a jar of pycocoevalcap, after a check that Java is installed."""
    package = _package()
    if shutil.which("java") is None or package is None:
        raise FileNotFoundError(f"{name}: requires Java and pycocoevalcap; {HINT}")
    return package / name


@cache
def _starts(java: str) -> bool:
    """Return whether Java starts: without it, macOS has a program of this name that only fails."""
    command = [java, "-version"]
    try:
        ended = subprocess.run(
            command, stdin=DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except OSError:
        return False
    except subprocess.TimeoutExpired:  # the machine is busy
        return True
    return ended.returncode == 0


def _package() -> Path | None:
    spec = find_spec("pycocoevalcap")
    locations = spec.submodule_search_locations if spec else None
    return Path(next(iter(locations))) if locations else None

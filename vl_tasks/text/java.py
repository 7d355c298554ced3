"""The parts of the COCO caption evaluation that exist in Java only, from pip's pycocoevalcap.

Its Python wrappers are not used: METEOR's hangs when the standard error stream fills, SPICE's
downloads half a gigabyte when it is made, and the tokenizer's writes into the installed package.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from tempfile import TemporaryDirectory
from threading import Thread, Timer

REMEDY = "install a Java runtime, and pycocoevalcap: pip install 'clipnav[caption-metrics]'"
TOKENIZER_JAR = Path("tokenizer", "stanford-corenlp-3.4.1.jar")
METEOR_JAR = Path("meteor", "meteor-1.5.jar")
SPICE_JAR = Path("spice", "spice-1.0.jar")
_PARSER = "stanford-corenlp-3.6.0"
_PARSER_SOURCE = "https://nlp.stanford.edu/software/stanford-corenlp-full-2015-12-09.zip"
_SECONDS = 600.0  # METEOR takes 20 s to start on a busy machine
_SECONDS_PER_CAPTION = 2.0

Ask = Callable[[Sequence[str], int], list[str]]


def java_ready() -> bool:
    """Whether Java and the jars of pycocoevalcap are there."""
    return shutil.which("java") is not None and _package() is not None


def ptb_lines(captions: Sequence[str]) -> list[str]:
    """Captions, each one line, cut into Penn Treebank tokens in lower case.

    Raises:
        FileNotFoundError: Java or pycocoevalcap is missing.
        ChildProcessError: Java fails.
    """
    if not captions:
        return []
    command = ["-cp", str(_jar(TOKENIZER_JAR)), "edu.stanford.nlp.process.PTBTokenizer"]
    text = "".join(f"{caption}\n" for caption in captions)
    lines = _run([*command, "-preserveLines", "-lowerCase"], text, len(captions)).split("\n")
    if len(lines) != len(captions) + 1:
        raise ChildProcessError(
            f"PTBTokenizer made {len(lines) - 1} lines of {len(captions)} captions"
        )
    return lines[:-1]


def meteor(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """METEOR 1.5 of each tokenised caption, and last that of all together.

    Raises:
        FileNotFoundError: Java or pycocoevalcap is missing.
        ChildProcessError: Java fails.
    """
    jar = _jar(METEOR_JAR)
    command = ["-Xmx2G", "-jar", str(jar), "-", "-", "-stdio", "-l", "en", "-norm"]
    questions = [
        " ||| ".join(["SCORE", *(_field(r) for r in given), _field(prediction)])
        for prediction, given in zip(predictions, references, strict=True)
    ]
    with _conversation(command, len(predictions)) as ask:
        statistics = ask(questions, len(questions))
        evaluation = " ||| ".join(["EVAL", *statistics])
        return [float(score) for score in ask([evaluation], len(questions) + 1)]


def spice(predictions: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> list[float]:
    """SPICE 1.0 (F-score of scene graphs) of each tokenised caption; their mean is the score.

    Raises:
        FileNotFoundError: Java, pycocoevalcap or the parser that SPICE needs is missing.
        ChildProcessError: Java fails.
    """
    jar = _jar(SPICE_JAR)
    for name in (f"{_PARSER}.jar", f"{_PARSER}-models.jar"):
        if not (jar.parent / "lib" / name).is_file():
            raise FileNotFoundError(
                f"{jar.parent / 'lib' / name}: SPICE needs it; take it from {_PARSER_SOURCE}"
            )
    records = [
        {"image_id": key, "test": text, "refs": list(references[key])}
        for key, text in predictions.items()
    ]
    with TemporaryDirectory() as folder:
        given, found = Path(folder, "captions.json"), Path(folder, "scores.json")
        given.write_text(json.dumps(records), encoding="utf-8")
        command = ["-Xmx8G", "-jar", str(jar), str(given), "-out", str(found), "-subset", "-silent"]
        _run(command, "", len(records))
        scores = {one["image_id"]: one["scores"] for one in json.loads(found.read_text("utf-8"))}
    return [float(scores[key]["All"]["f"]) for key in predictions]


@contextmanager
def _conversation(arguments: list[str], captions: int) -> Iterator[Ask]:
    """A running Java programme that is given lines and answers with as many as are awaited."""
    command = ["java", *arguments]
    with Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        into, out = process.stdin, process.stdout
        timer = Timer(_seconds(captions), process.kill)
        timer.start()

        def write(lines: Sequence[str]) -> None:
            with suppress(BrokenPipeError):  # the reader notices
                into.writelines(f"{line}\n" for line in lines)
                into.flush()

        def ask(lines: Sequence[str], answers: int) -> list[str]:
            # Beside the reading, for the programme answers before it has read all.
            Thread(target=write, args=(lines,), daemon=True).start()
            found = [line for _ in range(answers) if (line := out.readline())]
            if len(found) < answers:
                raise ChildProcessError(f"{' '.join(command)}: ended after {len(found)} answers")
            return [line.strip() for line in found]

        try:
            yield ask
        finally:
            timer.cancel()
            process.kill()


def _seconds(captions: int) -> float:
    return _SECONDS + _SECONDS_PER_CAPTION * captions


def _field(caption: str) -> str:
    return " ".join(caption.replace("|||", " ").split())


def _run(arguments: list[str], text: str, captions: int) -> str:
    """Run Java on a text and return what it prints.

    Raises:
        ChildProcessError: It fails, or takes much longer than it should.
    """
    seconds = _seconds(captions)
    try:
        done = subprocess.run(
            ["java", *arguments],
            input=text.encode(),
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ChildProcessError(
            f"java {' '.join(arguments)}: no end after {seconds:.0f} s"
        ) from error
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-3:]
        raise ChildProcessError(f"java {' '.join(arguments)} failed: {' / '.join(last)}")
    return done.stdout.decode()


def _jar(name: Path) -> Path:
    """A jar of pycocoevalcap, once Java is there."""
    package = _package()
    if shutil.which("java") is None or package is None:
        raise FileNotFoundError(f"{name}: Java and pycocoevalcap are needed; {REMEDY}")
    return package / name


def _package() -> Path | None:
    spec = find_spec("pycocoevalcap")
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None

"""Tests do not fork their process: a fork would wait for locks that threads of it held."""

import ast
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def forks(text: str) -> Iterator[str]:
    """Yield the calls that fork this process; programs in strings may fork theirs."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        function = ast.unparse(node.func)
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        constants = [value.value for value in values if isinstance(value, ast.Constant)]
        chosen = function.endswith(("get_context", "set_start_method")) and "fork" in constants
        # gymnasium forks by default; `tests.forking.IN_PROCESSES` does not.
        vectorised = function.endswith("make_vec") and "async" in constants
        if function == "os.fork" or chosen or vectorised:
            yield f"line {node.lineno}"


def test_forks_are_found():
    text = """
process = os.fork()
pool = get_context("fork").Pool(3)
several = gym.make_vec("R2R-CLIP-v0", 2, vectorization_mode="async")
program = "os.fork()"
other = get_context("spawn")
"""
    assert sorted(forks(text)) == ["line 2", "line 3", "line 4"]


def test_tests_do_not_fork_their_process():
    found = []
    for path in FOLDER.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path == FOLDER / "launcher.py":  # a process without threads, which forks commands
            assert list(forks(text))
        elif "fork" in text or "async" in text:
            found += [f"{path.relative_to(FOLDER)}, {line}" for line in forks(text)]
    assert not found

"""The layout of the repository: imports without circles."""

import ast
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

import networkx as nx
import pytest

from tests.ordering import LONGEST

ROOT = Path(__file__).resolve().parents[1]
# Folders that are installed within `clipnav`.
FOLDERS = sorted(p.parent.name for p in ROOT.glob("*/__init__.py") if p.parent.name != "clipnav")


def sources(folders: Iterable[str]) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] in FOLDERS:
        parts = ("clipnav", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(tree: ast.Module, modules: Container[str]) -> Iterable[str]:
    """Yield the modules that a file imports at run time, including imports in functions."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in modules else node.module for name in names)
        pending.extend(ast.iter_child_nodes(node))


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Modules of the packages that each module imports."""
    paths = {module_name(path): path for path in sources(["clipnav", *FOLDERS])}
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in paths.items()}
    return {
        name: {other for other in imported_modules(tree, paths) if other in paths} - {name}
        for name, tree in trees.items()
    }


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    graph = nx.DiGraph((start, end) for start, ends in edges.items() for end in ends)
    return [sorted(part) for part in nx.strongly_connected_components(graph) if len(part) > 1]


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [["b", "c"]]


def test_only_imports_at_run_time_count():
    text = "import a\nif TYPE_CHECKING:\n    import b\ndef f():\n    from c import d, e\n"
    assert sorted(imported_modules(ast.parse(text), ["c.d"])) == ["a", "c", "c.d"]


def test_no_import_circle_between_files(imports):
    assert len(imports) > 100
    assert circles(imports) == []


def test_no_import_circle_between_folders(imports):
    packages = {
        module_name(path) for path in sources(["clipnav", *FOLDERS]) if path.name == "__init__.py"
    }

    def folder(module: str) -> str:
        return module if module in packages else module.rpartition(".")[0]

    edges: dict[str, set[str]] = {}
    for module, others in imports.items():
        edges.setdefault(folder(module), set()).update(map(folder, others))
    for name, others in edges.items():
        others.discard(name)
    assert circles(edges) == []


def test_the_test_files_that_begin_first_exist():
    assert [name for name in LONGEST if not (ROOT / "tests" / name).is_file()] == []

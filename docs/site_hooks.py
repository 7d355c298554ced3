"""Hooks of the documentation site: a page for each command, and names without line breaks."""

import contextlib
import html
import inspect
import io
import os
import re
from collections.abc import Sequence
from pkgutil import resolve_name
from unittest import mock

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from clipnav.cli import COMMANDS, main, summary, title

INDEX = "reference/commands.md"
_INTRODUCTION = """# Commands

The pages are generated from the texts that `clipnav COMMAND --help-all` prints.
"""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the commands into the navigation, grouped as in `clipnav --help-all`."""
    groups = [
        {heading: [{name: page_of(name)} for name in names]}
        for heading, names, _ in command_groups()
    ]
    reference = next(part["Reference"] for part in config.nav if "Reference" in part)
    reference[reference.index({"Commands": INDEX})] = {"Commands": [INDEX, *groups]}
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the commands."""
    files.append(File.generated(config, INDEX, content=index_page()))
    for _, names, _ in command_groups():
        for name in names:
            files.append(File.generated(config, page_of(name), content=command_page(name)))
    return files


def command_groups() -> list[tuple[str, Sequence[str], str]]:
    """Return the title, the commands and the folder of each group."""
    return [(title(group), names, group) for group, names in COMMANDS.items()]


def page_of(name: str) -> str:
    """Return the source path of the page of a command."""
    return f"reference/commands/{name}.md"


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace `<!-- docstring: NAME -->` by the docstring of a class, whose headings it keeps."""

    def described(match: re.Match[str]) -> str:
        text = inspect.getdoc(resolve_name(match[1])) or ""
        return text[text.index("## ") :]

    return re.sub(r"<!-- docstring: ([\w.]+) -->", described, markdown)


def on_page_content(content: str, **_: object) -> str:
    """Mark options and names with dashes in inline code, which site.css keeps on one line."""
    parts = re.split(r"(<pre\b.*?</pre>)", content, flags=re.DOTALL)
    parts[::2] = [re.sub(r"<code>([^<]*)</code>", _mark_names, part) for part in parts[::2]]
    return "".join(parts)


def _mark_names(code: re.Match[str]) -> str:
    names = re.sub(r"(?<!\S)[\w.]*-[\w.-]+", r'<span class="unbroken">\g<0></span>', code[1])
    return f"<code>{names}</code>"


def index_page() -> str:
    """Return the page that lists all commands."""
    parts = [_INTRODUCTION]
    for heading, names, group in command_groups():
        parts += [f"## {heading}\n", "| command | what it does |", "|---|---|"]
        for name in names:
            first = html.escape(summary(group, name))
            parts.append(f"| [`{name}`](commands/{name}.md) | {first} |")
        parts.append("")
    return "\n".join(parts)


def command_page(name: str) -> str:
    """Return the page of a command: description, examples and options."""
    description, *groups = re.split(r"^ (\S.*)\n -+\n", help_text(name), flags=re.MULTILINE)
    _usage, _, description = description.partition("\n\n")
    parts = [f"# clipnav {name}\n"]
    for paragraph in re.split(r"\n{2,}", description.strip()):
        text = paragraph.strip()
        if text.startswith("$ "):
            parts.append(f"```console\n{text}\n```\n")
        else:
            parts.append(f"<p>{html.escape(text)}</p>\n")
    for heading, entries in zip(groups[::2], groups[1::2], strict=True):
        parts.append(f"## {heading.capitalize()}\n")
        parts.append(definition_list(entries, "positional" in heading))
    return "\n".join(parts)


def definition_list(entries: str, positional: bool) -> str:
    """Return a group of options as HTML, with the description of the group above it.

    Args:
        entries: Lines of the group; those of an option are indented by two spaces, their
            continuations by more.
        positional: Whether options have no dash.
    """
    rows: list[list[str]] = []
    paragraph: list[str] = []
    for line in entries.splitlines():
        text = line.strip()
        if not text.strip("-"):
            continue
        if line.startswith("   "):
            rows[-1].append(text)
        elif positional or text.startswith("-"):
            rows.append(re.split(" {2,}", text, maxsplit=1))
        else:
            paragraph.append(text)
    listed = "".join(
        f"<dt><code>{html.escape(option)}</code></dt>"
        f"<dd>{html.escape(' '.join(lines).removesuffix(' (default: )'))}</dd>\n"
        for option, *lines in rows
    )
    described = f"<p>{html.escape(' '.join(paragraph))}</p>\n" if paragraph else ""
    return f'{described}<dl class="options">\n{listed}</dl>\n'


def help_text(name: str) -> str:
    """Return the --help-all of a command, without colours."""
    printed = io.StringIO()
    # tyro writes wider texts in several columns.
    with (
        mock.patch.dict(os.environ, COLUMNS="110", NO_COLOR="1"),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        main([name, "--help-all"])
    return "\n".join(line.rstrip() for line in printed.getvalue().splitlines())

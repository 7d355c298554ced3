"""Hooks of the documentation site: the page of all commands, and names without line breaks."""

import contextlib
import html
import io
import os
import re
from unittest import mock

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from clipnav.cli import COMMANDS, main, summary

COMMANDS_PAGE = "reference/commands.md"
_INTRODUCTION = """# Commands

This page is generated from the texts that `clipnav COMMAND --help-all` prints. In a checkout,
`python scripts/train_agent.py` is the same as `clipnav train-agent`, and so on.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of all commands."""
    files.append(File.generated(config, COMMANDS_PAGE, content=commands_page()))
    return files


def on_page_content(content: str, **_: object) -> str:
    """Mark options and names with dashes in inline code, which site.css keeps on one line."""
    parts = re.split(r"(<pre\b.*?</pre>)", content, flags=re.DOTALL)
    parts[::2] = [re.sub(r"<code>([^<]*)</code>", _mark_names, part) for part in parts[::2]]
    return "".join(parts)


def _mark_names(code: re.Match[str]) -> str:
    names = re.sub(r"(?<!\S)[\w.]*-[\w.-]+", r'<span class="unbroken">\g<0></span>', code[1])
    return f"<code>{names}</code>"


def commands_page() -> str:
    """Return the page of all commands, grouped as in `clipnav --help`."""
    parts = [_INTRODUCTION]
    for group, names in COMMANDS.items():
        title = summary(group).removeprefix("Commands: ").rstrip(".").capitalize()
        parts += [f"## {title}\n", *map(command_section, names)]
    return "\n".join(parts)


def command_section(name: str) -> str:
    """Return the section of a command: description, examples and options."""
    description, *groups = re.split(r"^ (\S.*)\n -+\n", help_text(name), flags=re.MULTILINE)
    _usage, _, description = description.partition("\n\n")
    parts = [f"### clipnav {name}\n"]
    for paragraph in re.split(r"\n{2,}", description.strip()):
        text = paragraph.strip()
        if text.startswith("$ "):
            parts.append(f"```console\n{text}\n```\n")
        else:
            parts.append(f"<p>{html.escape(text)}</p>\n")
    for title, entries in zip(groups[::2], groups[1::2], strict=True):
        parts.append(f"<p><strong>{html.escape(title.capitalize())}</strong></p>\n")
        parts.append(definition_list(entries, "positional" in title))
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

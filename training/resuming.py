"""Command lines of trainings: flags that are read first, --config and --resume."""

import dataclasses
import functools
import io
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import docstring_parser  # of tyro
import tyro

from clipnav.storage.errors import UserError
from clipnav.training.run_folder import has_saved
from clipnav.training.run_settings import TrainingConfig
from clipnav.training.settings import (
    CONFIG,
    Config,
    check_same_run,
    check_unused_options,
    read_config,
    read_settings,
)

_parse_from_object = docstring_parser.parse_from_object


def early_values(arguments: Sequence[str]) -> dict[str, str]:
    """Return the value of each flag by its name. Some flags determine the defaults of others.

    The parser of all flags reports missing values.
    """
    values: dict[str, str] = {}
    for word, following in zip(arguments, [*arguments[1:], "-"], strict=False):
        name, equals, value = word.partition("=")
        if name.startswith("--") and (equals or not following.startswith("-")):
            values[name[2:].replace("_", "-")] = value if equals else following
    return values


def choice(value: str | None, choices: Any, default: str | None = None) -> Any:
    """Return a value of `early_values` that is one of the choices, a Literal, else the default.

    The parser of all flags refuses any other value, with the list of choices.
    """
    return value if value in get_args(choices) else default


def _file_defaults(kind: type[Config], arguments: Sequence[str]) -> Config | None:
    """Return the settings in the file --config as defaults of the other flags."""
    early = early_values(arguments)
    given = early.get("config")
    if given is None:
        return None
    for flag in ("resume", "preset"):
        if flag in early:
            raise UserError(f"--{flag} and --config {given} exclude each other; give one of them")
    path = Path(given)
    settings: Any = read_settings(path / CONFIG if path.is_dir() else path, kind)
    return dataclasses.replace(settings, output=None, resume=None)


def parse_run(
    kind: type[Config],
    arguments: Sequence[str],
    description: str | None,
    *,
    defaults: Callable[[], Config],
    idle: Callable[[Config], Mapping[str, str]],
    may_change: frozenset[str],
) -> Config:
    """Return the settings of a new or resumed training from its command line.

    --config takes all defaults from a file, --resume from the run that it names.

    Args:
        may_change: Names of settings that may change when a run is resumed; any other change would
            make it another run.
    """
    given = _file_defaults(kind, arguments)
    resumed = early_values(arguments).get("resume")
    if resumed is not None:
        default = read_config(Path(resumed), kind)
        config: Any = parse_resumed(kind, Path(resumed), arguments, may_change, description)
    else:
        default = given or defaults()
        config = parse_settings(kind, default, arguments, description)
    check_unused_options(config, idle(config), default)
    return dataclasses.replace(config, config=None)


def parse_settings(
    kind: type[Config], default: Config, arguments: Sequence[str], description: str | None
) -> Config:
    """Return the settings of a training from its command line."""
    prog = getattr(kind, "COMMAND", None)
    return parse_arguments(kind, arguments, prog, description, default)


def parse_arguments(
    kind: type[Config],
    arguments: Sequence[str],
    prog: str | None,
    description: str | None,
    default: Config | None = None,
) -> Config:
    """Return the settings of a command line.

    --help shows the settings in `kind.COMMON`, each with the first sentence of its description, if
    there are any; --help-all shows all of them.
    """
    args = list(arguments)
    if {"-h", "--help", "--help-all"}.isdisjoint(args):
        with _joined_lines():
            return _parse(kind, args, prog, description, default)
    default = default.shown() if isinstance(default, TrainingConfig) else default
    with _joined_lines(), _wrapped_paragraphs():
        if "--help-all" not in args and getattr(kind, "COMMON", ()):
            description = f"{description}\n\nThese are common options; --help-all shows all."
            shown = _common(kind, default)
        else:
            shown = _with_hints(kind, default)
        _parse(shown, ["--help"], prog, description, None)
    raise SystemExit(0)


def _parse(kind: Any, args: list[str], prog: Any, description: Any, default: Any) -> Any:
    # None is no default of tyro's.
    defaults = {} if default is None else {"default": default}
    # Help texts are docstrings; the search for comments takes 40 % of the time.
    config = (tyro.conf.HelptextFromCommentsOff,)
    captured = _Captured(sys.stderr)
    try:
        with redirect_stderr(captured):
            return tyro.cli(
                kind, prog=prog, description=description, args=args, config=config, **defaults
            )
    except SystemExit as end:
        shown = captured.getvalue()
        if f"Error parsing {kind.__name__}:" in shown:  # a refusal by the class, which it names
            shown = f"{prog}: {end.__context__}; --help describes the arguments\n"
        print(shown, end="", file=sys.stderr)
        raise


def _common(kind: Any, default: Any) -> type:
    """Return a dataclass of the common settings of a class alone, with short help texts."""
    fields = []
    for name in kind.COMMON:
        *groups, last = name.split(".")
        owner, value, flag = kind, default, ""
        for group in groups:
            hint = get_type_hints(owner, include_extras=True)[group]
            if tyro.conf.OmitArgPrefixes not in getattr(hint, "__metadata__", ()):
                flag += f"{group}."
            owner, value = get_type_hints(owner)[group], _value(owner, value, group)
        text = _description(owner, last) or ""
        sentence = re.split(r"(?<=\.)\s", text, maxsplit=1)[0]
        fields.append(_field(owner, last, _value(owner, value, last), flag + last, sentence))
    return dataclasses.make_dataclass(kind.__name__, fields, kw_only=True)


def _with_hints(kind: Any, default: Any) -> type:
    """Return a dataclass like another one whose help omits the defaults that are empty."""
    fields, hints = [], get_type_hints(kind, include_extras=True)
    for item in dataclasses.fields(kind):
        value, hint = _value(kind, default, item.name), hints[item.name]
        group, marks = getattr(hint, "__origin__", hint), getattr(hint, "__metadata__", ())
        if dataclasses.is_dataclass(group):
            # Without a description of the field, that of its class is shown.
            nested = tyro.conf.arg(help=_description(kind, item.name))
            fields.append((item.name, Annotated[_with_hints(group, value), nested, *marks]))
        else:
            fields.append(_field(kind, item.name, value, item.name, _description(kind, item.name)))
    shown = dataclasses.make_dataclass(kind.__name__, fields, kw_only=True)
    shown.__doc__ = kind.__doc__
    return shown


def _value(owner: Any, settings: Any, name: str) -> Any:
    """Return a setting, or without settings its default; MISSING if it has none."""
    if settings not in (None, dataclasses.MISSING):
        return getattr(settings, name)
    item = owner.__dataclass_fields__[name]
    factory = item.default_factory
    return item.default if factory is dataclasses.MISSING else factory()


def _description(owner: Any, name: str) -> str | None:
    """Return the docstring of a field."""
    texts = (
        param.description
        for base in owner.__mro__[:-1]
        for param in _parsed_docstring(base).params
        if param.arg_name == name
    )
    return next(texts, None)


def _field(owner: Any, name: str, value: Any, flag: str, text: str | None) -> Any:
    """Return a field for `make_dataclass`; a default that is None or empty is not shown."""
    is_empty = value is None or value == ()
    option = tyro.conf.arg(
        name=flag.replace("_", "-"), help=text, help_behavior_hint="" if is_empty else None
    )
    own: Any = get_type_hints(owner, include_extras=True)[name]
    hint: Any = Annotated[own, option]
    if value is None and bool not in get_args(own):  # which would become two flags
        hint = tyro.conf.DisallowNone[hint]
    return (flag.replace(".", "_"), hint, dataclasses.field(default=value))


def parse_resumed(
    kind: type[Config],
    run: Path,
    arguments: Sequence[str],
    may_change: frozenset[str],
    description: str | None = None,
) -> Config:
    """Return the settings of a run to resume, with the permitted changes of a command line.

    A run that was killed before it saved anything starts again in its folder.
    """
    config: Any = parse_settings(kind, read_config(run, kind), arguments, description)
    hint = "omit these flags to resume the run, or start another one without --resume"
    check_same_run(run, config, may_change, "the command line", hint)
    if has_saved(run):
        return config
    return dataclasses.replace(config, output=run, resume=None)


@functools.lru_cache(maxsize=1000)
def _parsed_docstring(owner: Any) -> docstring_parser.Docstring:
    """Parse the source of a class, which takes about 10 ms, with joined lines."""
    parsed = _parse_from_object(owner)
    for param in parsed.params:
        if param.description:
            param.description = re.sub(r"(?<!\n)\n[ \t]*(?=\S)", " ", param.description)
    return parsed


@contextmanager
def _joined_lines() -> Iterator[None]:
    """Join the lines of each paragraph of the docstrings of fields within the block.

    tyro takes them from docstring_parser with their indentation, and therefore keeps the line
    breaks of the source, which are ragged in a help text of another width.
    """
    original = docstring_parser.parse_from_object
    docstring_parser.parse_from_object = _parsed_docstring
    try:
        yield
    finally:
        docstring_parser.parse_from_object = original


class _Captured(io.StringIO):
    """Text for another stream, with the colours and characters that it can show."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._stream.encoding

    def isatty(self) -> bool:
        return self._stream.isatty()


@contextmanager
def _wrapped_paragraphs() -> Iterator[None]:
    """Wrap the paragraphs of a help text that is printed within the block.

    tyro wraps the descriptions of flags to the width of the terminal, but prints each paragraph of
    the description of a command as one line, and two blank lines before examples.
    """
    captured, width = _Captured(sys.stdout), shutil.get_terminal_size().columns
    try:
        with redirect_stdout(captured):
            yield
    finally:
        before = ""
        for line in captured.getvalue().splitlines():
            is_text = line[:1].isalpha() and not line.startswith("usage:")
            if line or before:
                # Not within names such as --start-from.
                print(textwrap.fill(line, width, break_on_hyphens=False) if is_text else line)
            before = line

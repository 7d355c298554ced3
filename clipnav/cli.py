"""The console command `clipnav`, with its sub-commands."""

import ast
import difflib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clipnav.errors import friendly_errors
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import parse_toml
from clipnav.storage.shared_runs import SCHEME, local_run
from clipnav.storage.spec_table import code_named_in

# Sub-commands by the folder in clipnav/commands that contains their modules.
COMMANDS: dict[str, tuple[str, ...]] = {
    "agents": (
        "demo",
        "train-agent",
        "pretrain-agent",
        "evaluate-agent",
        "evaluate-vlm",
        "convert-agent",
        "train-speaker",
        "train-language-representation",
        "pair-paths",
        "train-visual-representation",
        "compare-agents",
        "compare-encoders",
        "evaluate-submission",
    ),
    "continuous": (
        "train-continuous-agent",
        "evaluate-continuous-agent",
        "train-waypoint-predictor",
        "convert-waypoint-predictor",
        "evaluate-waypoint-agent",
    ),
    "demonstrations": ("export-demonstrations", "finetune-vlm"),
    "viewer": ("visualise", "plot-results", "draw-continuous-episode"),
    "encoders": (
        "extract-features",
        "extract-image-features",
        "extract-object-features",
        "convert-features",
        "inspect-features",
        "convert-openai-clip",
        "pretrain-house-clip",
        "explain-image",
    ),
    "tasks": (
        "pretrain-vl",
        "finetune",
        "finetune-vqa",
        "compare-vqa-encoders",
        "finetune-gqa",
        "finetune-snli-ve",
        "train-captioner",
        "split-questions",
        "train-selector",
        "answer",
        "caption",
        "evaluate-answers",
        "evaluate-reliability",
        "evaluate-gqa",
        "evaluate-captions",
        "convert-clip-vil-p",
    ),
    "datasets": (
        "download-data",
        "build-houses",
        "check-instructions",
        "export-continuous-episodes",
        "make-house-tasks",
        "translate-questions",
        "convert-easy-vqa",
        "habitat-server",
    ),
    "sharing": ("push", "pull"),
    "installation": ("doctor",),
    "results": ("reproduce", "bench", "rank-systems"),
}
_GROUPS = {name: group for group, names in COMMANDS.items() for name in names}
# Those that `clipnav --help` shows.
_FIRST = (
    "demo",
    "download-data",
    "train-agent",
    "evaluate-agent",
    "compare-agents",
    "visualise",
    "evaluate-submission",
    "export-demonstrations",
    "evaluate-vlm",
    "finetune-vqa",
    "answer",
    "doctor",
)
# Commands whose addresses of runs stand for themselves.
_ADDRESSES = ("push", "pull")
# Commands with an --agent that they read themselves; of others it names the agent of their runs.
_AGENTS = ("train-agent", "compare-agents", "compare-encoders", "bench")
# Commands that continue where they were stopped; trainings and others have messages of their own.
_CONTINUED = frozenset(
    {"build-houses", "demo", "download-data", "evaluate-vlm", "export-demonstrations"}
)
_CONTINUE = " Run the same command again to continue."
_USAGE = "Usage: clipnav COMMAND [ARGUMENTS ...]"
# The flags of a command are the first words of the lines of its help, for which a shell asks once;
# other words are completed as file names.
_COMPLETION = r"""
declare -A _clipnav_flags
_clipnav() {
  local word="${COMP_WORDS[COMP_CWORD]}" name="${COMP_WORDS[1]}"
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "COMMANDS" -- "$word"))
  elif [ "${word:0:1}" = "-" ]; then
    if [ -z "${_clipnav_flags[$name]}" ]; then
      _clipnav_flags[$name]="$(
        PYTHONIOENCODING=ascii:replace clipnav "$name" --help-all 2>/dev/null |
        sed -nE 's/^[ ?|] (--[a-z0-9.-]+)(, (--[a-z0-9.-]+))?.*/\1 \3/p')"
    fi
    COMPREPLY=($(compgen -W "${_clipnav_flags[$name]} --help --help-all" -- "$word"))
  fi
}
complete -o default -F _clipnav clipnav
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command."""
    name, *rest = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    if name in _PRINTED:
        with friendly_errors():
            print(_PRINTED[name]())
        return 0
    if name not in _GROUPS:
        close = difflib.get_close_matches(name.replace("_", "-"), _GROUPS, n=1)
        hint = f"did you mean {close[0]}?" if close else "clipnav --help-all lists all commands"
        print(f"clipnav {name}: no such command; {hint}", file=sys.stderr)
        return 2
    # Let torch's threads (libgomp's) sleep soon when they wait for each other. By default they spin
    # for milliseconds, and if another program occupies a core, a small network is computed a
    # hundred times slower: two threads on two cores trained a follower at 0.05 instead of 6
    # iterations per second beside a busy program, and at 1.4 with this number of spins, which takes
    # 5 to 10 % longer on an idle machine. It is read when torch is imported.
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "3000"
    # Outside of friendly_errors: until the modules are imported, a signal ends the process at once.
    command = import_module(f"clipnav.commands.{_GROUPS[name]}.{name.replace('-', '_')}")
    with friendly_errors(_CONTINUE if name in _CONTINUED else ""), code_named_in(rest):
        words = rest if name in _ADDRESSES else expanded(rest)
        if name not in _AGENTS and any(word.partition("=")[0] == "--agent" for word in words):
            from clipnav.agents.specs import with_agents

            words = with_agents(words, keep=False)
        return command.main(words) or 0


def expanded(arguments: Sequence[str]) -> list[str]:
    """Return a command line in which each word stands for itself.

    `--config FILE.toml` becomes the flags of the file that are not on the command line, and
    `hf:OWNER/NAME`, also after `--flag=`, the folder into which the run is downloaded.
    """
    words: list[str] = []
    given = set()
    for word in arguments:
        if word.startswith("--"):
            *groups, last = word.partition("=")[0][2:].replace("_", "-").split(".")
            given.add(".".join((*groups, last.removeprefix("no-"))))
    pending = iter(arguments)
    for word in pending:
        flag, equals, value = word.partition("=")
        if flag == "--config" and not equals:
            value = next(pending, "")
        if flag == "--config" and value.lower().endswith(".toml"):
            words += _flags(Path(value), given)
        elif flag == "--config" and not equals:
            words += [flag, value] if value else [flag]
        else:
            words.append(word)
    for number, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if word.startswith(SCHEME):
            words[number] = str(local_run(word))
        elif flag.startswith("--") and value.startswith(SCHEME):
            words[number] = f"{flag}{equals}{local_run(value)}"
    return words


def _flags(file: Path, given: set[str]) -> Iterator[str]:
    """Yield the flags of a settings file, except those that are given."""
    settings = parse_toml(file.read_bytes(), file, dict[str, Any], "correct it")
    for name, value in _flattened(settings):
        *groups, last = name.replace("_", "-").split(".")
        if ".".join((*groups, last)) in given:
            continue
        is_off = value is False
        yield "--" + ".".join((*groups, f"no-{last}" if is_off else last))
        if not isinstance(value, bool):
            yield from map(str, value if isinstance(value, list) else [value])


def _flattened(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def help_text() -> str:
    """Return the commands with which most people begin."""
    lines = [_USAGE, "", *_listed(_FIRST), ""]
    lines.append(f"clipnav --help-all lists all {len(_GROUPS)} commands,")
    return "\n".join([*lines, "clipnav COMMAND --help describes the arguments of one."])


def _all_commands() -> str:
    """Return the list of sub-commands, each with the first sentence of its description."""
    lines = [_USAGE, ""]
    for group, names in COMMANDS.items():
        lines += [f"{title(group)}:", *_listed(names), ""]
    return "\n".join([*lines, "clipnav COMMAND --help describes the arguments of a command."])


def _listed(names: Sequence[str]) -> list[str]:
    width = max(map(len, names))
    return [f"  {name:<{width}}  {summary(_GROUPS[name], name)}" for name in names]


def title(group: str) -> str:
    """Return the title of a group of commands."""
    return summary(group).removeprefix("Commands: ").rstrip(".").capitalize()


def summary(group: str, name: str = "__init__") -> str:
    """Return the first line of the docstring of a command or group, without importing it."""
    path = Path(__file__).parent / "commands" / group / f"{name.replace('-', '_')}.py"
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if docstring is None:
        raise UserError(f"{path}: has no docstring")
    return docstring.partition("\n")[0]


def completion(commands: Iterable[str]) -> str:
    """Return the completion of commands and flags for bash, and for zsh by its bashcompinit.

    A shell evaluates it: `eval "$(clipnav --completion)"`.
    """
    return _COMPLETION.strip().replace("COMMANDS", " ".join(commands))


_PRINTED: dict[str, Callable[[], str]] = {
    "-h": help_text,
    "--help": help_text,
    "--help-all": _all_commands,
    "--completion": lambda: completion([*_GROUPS, *list(_PRINTED)[1:]]),
    "--version": lambda: f"clipnav {version('clipnav')}",
}

if __name__ == "__main__":
    sys.exit(main())

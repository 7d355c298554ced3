"""Shell completion of commands and their flags, for bash, and for zsh by its bashcompinit."""

from collections.abc import Iterable

# The flags of a command are the first words of the lines of its help, for which a shell asks once;
# other words are completed as file names.
_SCRIPT = r"""
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


def script(commands: Iterable[str]) -> str:
    """Return the script that a shell evaluates: `eval "$(clipnav --completion)"`."""
    return _SCRIPT.strip().replace("COMMANDS", " ".join(commands))

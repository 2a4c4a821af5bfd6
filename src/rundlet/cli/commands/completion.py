"""``completion SHELL``: the script that makes a shell ask ``rundlet __complete`` at Tab."""

from __future__ import annotations

from rundlet.cli.command import Command, CommandFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rundlet.cli.context import Context
    from rundlet.cli.flags import Arguments

# Image names have colons, at which bash breaks words: the part before the colon is taken off again.
_BASH = """\
_rundlet() {
    local line="${COMP_LINE:0:COMP_POINT}" words current prefix
    read -ra words <<< "$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    current="${words[${#words[@]}-1]}"
    prefix=""
    [[ "$current" == *:* ]] && prefix="${current%:*}:"
    COMPREPLY=()
    while IFS= read -r candidate; do
        COMPREPLY+=("${candidate#"$prefix"}")
    done < <(rundlet __complete "${words[@]:1}" 2>/dev/null)
}
complete -o default -F _rundlet rundlet
"""
_ZSH = """\
#compdef rundlet
_rundlet() {
    local -a candidates
    candidates=("${(@f)$(rundlet __complete "${(@)words[2,$CURRENT]}" 2>/dev/null)}")
    [[ -n "${candidates[1]}" ]] && compadd -a candidates || _files
}
compdef _rundlet rundlet
"""
_FISH = """\
complete -c rundlet -f -a '(rundlet __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def _completion(context: Context, arguments: Arguments) -> int:
    shell = arguments.positional[0]
    if shell not in _SCRIPTS:
        raise CommandFailed(f"no completion for {shell}: must be one of bash, fish, zsh")
    context.out(_SCRIPTS[shell])
    return 0


COMPLETION = Command(
    "completion", "bash|zsh|fish", "Print the completion script of a shell", _completion, at_least=1, at_most=1
)

"""Completion scripts for bash, zsh and fish, made from the commands that are declared.

They are static: a shell that starts Python for every Tab waits 0.1 s each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast

from typer.main import get_command

from convcli.cli.app import app_for
from convcli.cli.topics import topics

HELP = ("-h", "--help")


class Value(NamedTuple):
    """What stands after an option, or as an argument: one of some words, a file, or either.

    Attributes
    ----------
    name : str
        Its name in the help: "PATH".
    words : tuple of str
        Words that it may be.
    is_file : bool
        Whether it may name a file.
    """

    name: str
    words: tuple[str, ...] = ()
    is_file: bool = False


class Option(NamedTuple):
    """An option of a command: its names, what it does in a few words, and its value if it has one.

    An argument has no names.
    """

    names: tuple[str, ...]
    text: str
    value: Value | None


class Command(NamedTuple):
    """A command: its name, what it does in a line, its options, and its last argument."""

    name: str
    text: str
    options: tuple[Option, ...]
    arguments: tuple[Value, ...]


def commands() -> list[Command]:
    """List the commands with their options, as they are declared."""
    declared = cast(Any, get_command(app_for(["--help"])))
    found = [_command(name, each) for name, each in declared.commands.items()]
    names = Value("COMMAND", (*(each.name for each in found), *topics()))
    return [*found, Command("help", "Show the help of a command, or a topic", (), (names,))]


def _command(name: str, declared: Any) -> Command:
    options, arguments = [], []
    for parameter in declared.params:
        if parameter.param_type_name == "argument":
            arguments.append(_value(parameter, _ARE_FILES))
        elif not parameter.hidden:
            value = None if parameter.is_flag else _value(parameter, _TAKE_FILES)
            options.append(Option(tuple(parameter.opts), _brief(parameter.help), value))
    options.append(Option(HELP, "Show the help", None))
    text = _brief(declared.help.partition("\n")[0])
    return Command(name, text, tuple(options), tuple(arguments))


# The arguments, and the values of options, that are files, by their names in the help.
_ARE_FILES = ("A", "B", "[INPUT]", "[INPUT]...")
_TAKE_FILES = ("PATH", "FILE", "FILE.html")


def _value(parameter: Any, files: tuple[str, ...]) -> Value:
    shown = parameter.metavar or parameter.name.upper()
    name = shown.strip("[].")
    choices = getattr(parameter.type, "choices", None)
    if choices:
        return Value(name, tuple(map(str, choices)))
    if name == "F":
        return Value(name, _formats())
    names = {"K": _kernels, "BANK": _banks}.get(name)
    if names:
        return Value(name, names(), is_file=True)
    return Value(name, is_file=shown in files)


def _kernels() -> tuple[str, ...]:
    from convcli.kernels.named import NAMED

    return tuple(NAMED)


def _banks() -> tuple[str, ...]:
    from convcli.banks.named import NAMED

    return tuple(NAMED)


def _formats() -> tuple[str, ...]:
    from convcli.files.formats import FORMATS

    return tuple(name.lower() for name in FORMATS)


def _brief(text: str) -> str:
    """Return the first sentence of a help text."""
    return re.split(r"[.;:] |  \[|\.$", text)[0]


def script(shell: str) -> str:
    """Return the completion script for bash, zsh or fish."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands())


# --- bash


_BASH = """\
# Completion of convcli for bash. To use it: source <(convcli completion bash)
_convcli() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words=
    COMPREPLY=()
    # bash cuts --border=wrap into three words.
    if [ "$word" = = ]; then
        word=
    elif [ "$before" = = ]; then
        before=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    if [ "$COMP_CWORD" -eq 1 ]; then
        case $word in
        -*) words="-h --help -V --version" ;;
        *) words="{names}" ;;
        esac
    else
        case "${{COMP_WORDS[1]}} $before" in
{values}
        *)
            case "${{COMP_WORDS[1]}} $word" in
{options}
            esac
            ;;
        esac
    fi
    # Without words bash completes the names of files, and quotes them.
    [ -z "$words" ] || COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _convcli convcli
"""


def _bash(several: list[Command]) -> str:
    values, options = [], []
    for command in several:
        for option in command.options:
            if option.value:
                cases = "|".join(f'"{command.name} {name}"' for name in option.names)
                values.append(f"        {cases}) {_bash_value(option.value)} ;;")
        names = " ".join(name for option in command.options for name in option.names)
        if names:
            options.append(f'            "{command.name} -"*) words="{names}" ;;')
        words = [word for value in command.arguments for word in value.words]
        if words:
            options.append(f'            "{command.name} "*) words="{" ".join(words)}" ;;')
    return _BASH.format(
        names=" ".join(each.name for each in several),
        values="\n".join(values),
        options="\n".join(options),
    )


def _bash_value(value: Value) -> str:
    if value.words:
        return f'words="{" ".join(value.words)}"'
    # bash 3.2 of macOS has no compopt, and names files.
    return ":" if value.is_file else "compopt +o default 2> /dev/null"


# --- zsh


_ZSH = """\
#compdef convcli
# Completion of convcli for zsh. To use it, write it to a file _convcli in a folder of $fpath, or:
# source <(convcli completion zsh)
{either}
_convcli() {{
    local curcontext=$curcontext state line
    local -A opt_args
    _arguments -C '(- *)'{{-h,--help}}'[Show the help]' \\
        '(- *)'{{-V,--version}}'[Print the version]' '1:command:->command' '*::argument:->rest'
    case $state in
    command)
        local -a several=(
{names}
        )
        _describe command several
        ;;
    rest)
        case $words[1] in
{cases}
        esac
        ;;
    esac
}}
if [ "$funcstack[1]" = _convcli ]; then _convcli "$@"; else compdef _convcli convcli; fi
"""


def _zsh(several: list[Command]) -> str:
    names = [f"            {_quoted(f'{each.name}:{each.text}')}" for each in several]
    values = [o.value for command in several for o in command.options if o.value]
    values += [value for command in several for value in command.arguments]
    either = {
        f"_convcli_{value.name.lower()}() {{\n    _alternative "
        f"'names:name:({' '.join(value.words)})' 'files:file:_files'\n}}"
        for value in values
        if value.words and value.is_file
    }
    return _ZSH.format(
        either="\n".join(sorted(either)),
        names="\n".join(names),
        cases="\n".join(map(_zsh_case, several)),
    )


def _zsh_case(command: Command) -> str:
    specs = [spec for option in command.options for spec in _zsh_options(option)]
    *first, last = command.arguments or (None,)
    specs += [_quoted(f"{number}:{_zsh_value(each)}") for number, each in enumerate(first, 1)]
    if last:
        specs.append(_quoted(f"*:{_zsh_value(last)}"))
    lines = ["_arguments -s -S", *(f"    {spec}" for spec in specs)]
    body = " \\\n            ".join(lines)
    return f"        {command.name})\n            {body}\n            ;;"


def _zsh_options(option: Option) -> Iterator[str]:
    """Yield a specification for each name; after one of them the others are not offered."""
    text = re.sub(r"([\[\]:\\])", r"\\\1", option.text)
    value = f":{_zsh_value(option.value)}" if option.value else ""
    for name in option.names:
        equals = "=" if value and name.startswith("--") else ""
        yield _quoted(f"({' '.join(option.names)}){name}{equals}[{text}]{value}")


def _zsh_value(value: Value) -> str:
    name = re.sub(r"([\[\]:\\])", r"\\\1", value.name)
    if value.words and value.is_file:
        return f"{name}:_convcli_{name.lower()}"
    if value.words:
        return f"{name}:({' '.join(value.words)})"
    return f"{name}:{'_files' if value.is_file else ' '}"


def _quoted(text: str) -> str:
    """Quote for bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


# --- fish


def _fish(several: list[Command]) -> str:
    lines = [
        "# Completion of convcli for fish. To use it, write it to",
        "# ~/.config/fish/completions/convcli.fish, or: convcli completion fish | source",
        "complete -c convcli -f",
        "complete -c convcli -n __fish_use_subcommand -s h -l help -d 'Show the help'",
        "complete -c convcli -n __fish_use_subcommand -s V -l version -d 'Print the version'",
    ]
    for command in several:
        lines.append(
            "complete -c convcli -n __fish_use_subcommand "
            f"-a {command.name} -d {_fish_quoted(command.text)}"
        )
        here = f"complete -c convcli -n '__fish_seen_subcommand_from {command.name}'"
        for option in command.options:
            names = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
                for name in option.names
            )
            value = f" {_fish_value(option.value)}" if option.value else ""
            lines.append(f"{here} {names}{value} -d {_fish_quoted(option.text)}")
        lines += [f"{here} {_fish_argument(value)}" for value in command.arguments]
    return "\n".join(lines) + "\n"


def _fish_value(value: Value) -> str:
    if value.words:
        return f"-{'r' if value.is_file else 'x'} -a '{_without_texts(value.words)}'"
    return "-r -F" if value.is_file else "-x"


def _without_texts(words: Iterable[str]) -> str:
    r"""Return words that fish shows without the text of their option: each would repeat it."""
    return " ".join(rf"{word}\t" for word in words)


def _fish_argument(value: Value) -> str:
    words = f" -a '{' '.join(value.words)}'" if value.words else ""
    return ("-F" if value.is_file else "-f") + words


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

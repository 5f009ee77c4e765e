"""Completion: each shell that is installed completes what is typed."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from convcli.cli.completion import commands, script
from convcli.files.formats import FORMATS
from convcli.words import BORDERS, METHODS

COMMANDS = [each.name for each in commands()]

# What is typed before Tab, and what is offered: all of it, where it is in a set.
TYPED = [
    ("convcli ", set(COMMANDS)),
    ("convcli ed", {"edge"}),
    ("convcli blur --meth", {"--method"}),
    ("convcli blur --skip", {"--skip-existing"}),
    ("convcli edge photo.png --method ", set(METHODS)),
    ("convcli edge -m f", {"fft"}),
    ("convcli filter --border ", set(BORDERS)),
    ("convcli filter --kernel scharr", {"scharr", "scharr-y"}),
    ("convcli kernel sobel", {"sobel", "sobel-y"}),
    ("convcli bank la", {"laws"}),
    ("convcli sharpen --format p", {n.lower() for n in FORMATS if n[0] == "P"}),
    ("convcli blur pho", {"photo one.png", "photo.png"}),
    ("convcli blur photo.png -o pho", {"photo one.png", "photo.png"}),
    ("convcli blur --sigma pho", set()),
    ("convcli blur --border=wr", {"wrap"}),
    ("convcli blur --border=", set(BORDERS)),
    ("convcli filter --kernel=gaussian-x photo", {"photo one.png", "photo.png"}),
    ("convcli completion z", {"zsh"}),
    ("convcli help be", {"bench"}),
    ("convcli help bor", {"borders"}),
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in ("photo.png", "photo one.png"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offered_by_bash(line):
    *words, last = re.sub("=(?!$)", " = ", re.sub("=$", " =", line)).split(" ")
    code = (
        "source convcli.bash\n"
        f"COMP_WORDS=({' '.join(words)} '{last}'); COMP_CWORD={len(words)}\n"
        "compopt() { no_files=$*; }\n"
        "_convcli\n"
        # As readline does under `complete -o default`, where nothing is offered.
        f"[ -n \"${{COMPREPLY[*]}}$no_files\" ] || compgen -f -- '{last}'\n"
        "printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return set(done.stdout.split("\n"))


# What zsh would add to a list goes into a file instead. (-O, -A and -D only ask.) It is ready when
# it edits a line: before, the terminal itself would take Ctrl-U as an order to drop what was typed.
ZSH = r"""
PS1=; autoload -Uz compinit; compinit -D -u; source convcli.zsh; zstyle ':completion:*' menu no
compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
    local -a hits; builtin compadd -A hits "$@"; print -rl -- $hits >> offered; builtin compadd "$@"
}
zle-line-init() { : > ready }; zle -N zle-line-init
"""


def offered_by_zsh(line):
    child, terminal = pty.fork()
    if child == 0:
        os.execvp("zsh", ["zsh", "-f", "-i"])
    try:
        for text, file in ((ZSH, "ready"), (f"{line}\t\x15: > done\r", "done")):
            os.write(terminal, text.replace("\n", "\r").encode())
            end = time.monotonic() + 60
            while not os.path.exists(file):
                assert time.monotonic() < end, os.read(terminal, 100_000).decode()
                time.sleep(0.02)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)
    return set(Path("offered").read_text().splitlines()) if os.path.exists("offered") else set()


def offered_by_fish(line):
    code = f"source convcli.fish; complete -C {line!r}"
    done = subprocess.run(["fish", "-N", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    # fish offers whole words: --border=wrap.
    return {each.split("\t")[0].rpartition("=")[2] for each in done.stdout.splitlines()}


SHELLS = {"bash": offered_by_bash, "zsh": offered_by_zsh, "fish": offered_by_fish}


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shutil.which(shell)])
@pytest.mark.parametrize(("line", "wanted"), TYPED)
def test_a_shell_offers_what_can_follow(place, shell, line, wanted):
    (place / f"convcli.{shell}").write_text(script(shell))
    offered = {each.removesuffix(" ").replace("\\", "") for each in SHELLS[shell](line)}
    assert offered - {""} == wanted


def test_every_option_and_choice_is_in_every_script():
    for shell in SHELLS:
        text = script(shell)
        for command in commands():
            for option in command.options:
                longest = max(option.names, key=len).removeprefix("--")
                assert longest in text
                if option.value:
                    assert set(option.value.words) <= set(re.findall(r"[\w-]+", text))


def test_the_command_prints_the_script(run):
    assert run("completion", "zsh").out.decode() == script("zsh")
    assert run("completion", "csh").status == 2

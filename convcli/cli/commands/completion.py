"""``convcli completion``: print a script that completes command lines in a shell."""

from __future__ import annotations

from typing import Annotated, Literal

import typer


def command(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="The shell.")],
) -> None:
    """Print a script that completes commands, options and their values.

    bash: add 'source <(convcli completion bash)' to ~/.bashrc. zsh: write it to a file _convcli in
    a folder of $fpath. fish: write it to ~/.config/fish/completions/convcli.fish.

    Example: convcli completion bash > ~/.local/share/bash-completion/completions/convcli
    """
    from convcli.cli.completion import script

    typer.echo(script(shell), nl=False)

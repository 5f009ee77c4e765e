"""``convcli completion``: print a script that completes command lines in a shell."""

from __future__ import annotations

from typing import Annotated, Literal

import typer


def command(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="Shell")],
) -> None:
    """Print a script that completes commands and options.

    bash: add 'source <(convcli completion bash)' to ~/.bashrc. zsh: write it to a file _convcli in
    a folder of $fpath. fish: write it to ~/.config/fish/completions/convcli.fish.

    Examples:
      source <(convcli completion bash)
      convcli completion fish > ~/.config/fish/completions/convcli.fish
    """
    from convcli.cli.completion import script

    typer.echo(script(shell), nl=False)

"""``convcli warmup``: compile every loop now, so that no later run has to."""

from __future__ import annotations

import sys

import typer


def command() -> None:
    """Compile every loop now, once, on all cores.

    They are kept for this processor in ~/.cache/convcli, or in convcli under XDG_CACHE_HOME. Later
    runs compile nothing. A second warmup compiles only what is missing.

    Examples:
      convcli warmup && convcli blur photo.tif
      XDG_CACHE_HOME=/opt/loops convcli warmup    # for a container, or for CI
    """
    from convcli.cli.screen.progress import Bar
    from convcli.errors import shown
    from convcli.running.warmup import warm_up

    with Bar(1, enabled=sys.stderr.isatty()) as bar:
        done = warm_up(lambda done, total: bar.regions_done(done, total, "compiling"))
    where = shown(str(done.folder))
    if done.compiled:
        typer.echo(f"compiled {done.compiled} loops in {bar.seconds:.1f} s; all are in {where}")
    else:
        typer.echo(f"nothing to compile: all {done.loops} loops are in {where}")

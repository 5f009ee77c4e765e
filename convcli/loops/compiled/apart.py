"""Compiling in a process of its own: the compiler takes 200 MB, which stay until a process ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_wanted: list[bool] = []

# What is imported is what would be imported here.
_CODE = """
import sys
sys.path[:] = {path!r}
from convcli.loops.compiled import machine_code
machine_code.compile_kept(({name!r}, {signature!r}))
"""


@contextmanager
def wanted(is_wanted: bool = True) -> Iterator[None]:
    """Let loops be compiled apart in this block, because the process may hold little."""
    _wanted.append(is_wanted)
    try:
        yield
    finally:
        _wanted.remove(is_wanted)


def is_wanted() -> bool:
    """Return whether loops are compiled apart."""
    return any(_wanted)


def make(name: str, signature: Any) -> None:
    """Let another process compile a function and keep it; if that fails, nothing is kept."""
    code = _CODE.format(path=sys.path, name=name, signature=signature)
    argv = [sys.executable, "-c", code]
    quiet = subprocess.DEVNULL
    subprocess.run(argv, stdin=quiet, stdout=quiet, stderr=quiet, check=False)  # noqa: S603 - ours

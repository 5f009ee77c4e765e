"""Every compiled loop, compiled and kept once for all later runs, on all cores."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from convcli.errors import ConvcliError
from convcli.loops.compiled import compiling, machine_code
from convcli.loops.compiled.kinds import EVERY
from convcli.planning.methods import worker_count
from convcli.running.processes import for_each
from convcli.types import OnProgress


class Warmed(NamedTuple):
    """How many loops were compiled, of how many, and where all of them lie."""

    compiled: int
    loops: int
    folder: Path


def warm_up(on_progress: OnProgress | None = None) -> Warmed:
    """Compile each kind of loop of which nothing is kept.

    Worker processes do it, because numba compiles one loop at a time in a process. They are forked
    with numba imported. Where there are none, this process does it.

    Raises
    ------
    ConvcliError
        If nothing can be compiled or kept here.
    """
    folder = machine_code.place()
    todo = machine_code.lacking(EVERY)
    if todo:
        try:
            for home in {compiling.LOOPS, *compiling.HOMES.values()}:
                import_module(home)
            for_each(machine_code.compile_kept, todo, worker_count(None), on_progress)
        except ConvcliError:
            rest = machine_code.lacking(todo)
            for done, kind in enumerate(rest, len(todo) - len(rest) + 1):
                machine_code.compile_kept(kind)
                if on_progress:
                    on_progress(done, len(todo))
        if machine_code.lacking(todo):
            raise ConvcliError(f"compiled loops cannot be written to {str(folder)!r}")
    return Warmed(len(todo), len(EVERY), folder)

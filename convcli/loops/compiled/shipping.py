"""Compile what a wheel brings: ``python -m convcli.loops.compiled.shipping LEVEL FOLDER``.

packaging/wheel.py runs this when a wheel is built, once for each level, with numba's settings of
the processor for this level.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from convcli.loops.compiled import compiling, mapping, shipped
from convcli.loops.compiled.calling import Kind
from convcli.loops.compiled.kinds import SHIPPED


def make(folder: Path, kinds: Iterable[Kind] = SHIPPED) -> None:
    """Compile kinds of loops into a folder, for the processor that numba is told."""
    folder.mkdir(parents=True)
    for name, signature in kinds:
        path = folder / shipped.name_of(name, signature)
        mapping.keep(path, compiling.object_code(name, signature))
        path.chmod(0o644)  # as readable as the modules beside it


if __name__ == "__main__":
    level, place = sys.argv[1:]
    make(shipped.folder_of(level, Path(place)))

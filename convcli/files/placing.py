"""Where inputs go below the output folder, and which of them are left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePath

from convcli.errors import ConvcliError, shown
from convcli.files.job import Request
from convcli.files.urls import is_url
from convcli.files.walking import Input


def check(request: Request) -> None:
    """Raise `ConvcliError` for --flat, --base and --suffix where they would have no effect."""
    if request.flat and request.base is not None:
        raise ConvcliError("--flat and --base cannot be used together; leave one out")
    chosen = "--flat" if request.flat else "--base" if request.base is not None else None
    if chosen and request.output in (None, "-"):
        raise ConvcliError(f"{chosen} is for results in a folder; name one with -o")
    if request.suffix is None:
        return
    if not request.suffix or "/" in request.suffix or os.sep in request.suffix:
        raise ConvcliError(
            f"--suffix must be a part of a name, such as _soft, not {shown(request.suffix)}"
        )
    if request.existing == "in place" or request.output == "-":
        where = "--in-place keeps all names" if request.existing == "in place" else "-o is '-'"
        raise ConvcliError(f"--suffix has no effect, because {where}; leave it out")


def chosen(inputs: Iterable[Input], request: Request) -> Iterator[Input]:
    """Yield the inputs that are not excluded, with the places that --flat and --base give them."""
    base = None if request.base is None else os.path.abspath(request.base)
    for each in inputs:
        found, place = each, each.relative
        if base is not None and not is_url(each.source):
            found = _below(each, base, str(request.base))
            place = found.relative
        elif each.root is None:  # the whole path of a listed file has more folders than were typed
            place = each.source
        if is_excluded(place, request.exclude):
            continue
        if request.flat:
            found = each._replace(relative=os.path.basename(each.relative))
        yield found


def is_excluded(relative: str, globs: Iterable[str]) -> bool:
    """Return whether a path, or a folder above it, fits one of several globs.

    A glob with a slash is for the path from the input folder, --base or the typed beginning on, any
    other for names.

    >>> globs = ["*.tmp.png", "old", "2023/*"]
    >>> [is_excluded(name, globs) for name in ("a.tmp.png", "x/old/b.png", "2023/a.png")]
    [True, True, True]
    >>> [is_excluded(name, globs) for name in ("a.png", "x/older/b.png", "x/2023/a.png")]
    [False, False, False]
    """
    parts = PurePath(relative).parts
    paths = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    for glob in globs:
        names = paths if "/" in glob else parts
        if any(fnmatch(name, glob.rstrip("/")) for name in names):
            return True
    return False


def _below(found: Input, base: str, typed: str) -> Input:
    place = Path(os.path.abspath(found.source))
    if not place.is_relative_to(base):
        problem = f"is not below --base {shown(typed)}; choose a folder that holds all inputs"
        return found._replace(problem=found.problem or problem)
    return found._replace(relative=str(place.relative_to(base)))

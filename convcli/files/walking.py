"""Which pictures were named, listed, or are found in a folder; nothing is opened."""

from __future__ import annotations

import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from convcli.errors import ConvcliError, reason_of, shown
from convcli.files.formats import is_picture
from convcli.files.job import Request
from convcli.files.places import is_below, is_same


class Input(NamedTuple):
    """A picture that was named, listed or walked to.

    `relative` is its place under an output folder, `problem` what is wrong with it, and
    `root` the folder that was walked, if one was.
    """

    source: str
    relative: str
    problem: str = ""
    root: str | None = None


def inputs_of(request: Request, note: Callable[[str], None]) -> Iterator[Input]:
    """List every picture that was named or walked to."""
    if request.files_from is not None:
        for name in _listed(request.files_from, request.null):
            path = Path(name)
            yield Input(str(path), str(_inside(path)), _problem(path))
        return
    for typed in request.inputs:
        path = Path(typed)
        if os.path.isdir(path):  # unlike Path.is_dir, it raises nothing
            if not request.recursive:
                raise ConvcliError(f"{shown(typed)} is a folder; add -r to filter what is in it")
            yield from _walked(str(path), request, note)
        else:
            yield Input(str(path), path.name, _problem(path))


def _listed(name: str, null: bool) -> list[str]:
    """Read the list of inputs: one name a line, or NUL between names."""
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise ConvcliError(f"--files-from {shown(name)}: {reason_of(error)}") from None
    if b"\0" in content and not null:
        raise ConvcliError(
            f"--files-from {shown(name)}: holds NUL bytes; if `find -print0` wrote it, add --null"
        )
    if not null:
        content = content.removeprefix(b"\xef\xbb\xbf")  # with which Windows begins a text
    separator = b"\0" if null else b"\n"
    names = [entry.removesuffix(b"\r") if not null else entry for entry in content.split(separator)]
    found = [os.fsdecode(entry) for entry in names if entry]
    if not found:
        raise ConvcliError(f"--files-from {shown(name)}: lists no files")
    return found


def _walked(root: str, request: Request, note: Callable[[str], None]) -> Iterator[Input]:
    """List the pictures under a folder, in order; links to folders are not followed."""
    real_root = os.path.realpath(root)
    # On a second run, this command's names beside the inputs are results; in place there are none.
    beside = request.output is None and request.existing != "in place"
    own = f".{request.command}" if beside else None
    output = request.output
    left: Counter[str] = Counter()
    found = 0
    waiting = [""]
    while waiting:
        top = waiting.pop()
        names, folders, leaving = [], [], set()
        try:
            with os.scandir(os.path.join(root, top)) as entries:
                for entry in entries:
                    kind = _kind(entry, own)
                    if kind == "folder":
                        # An output folder in here, which another shard may just have made,
                        # holds results too.
                        if output is None or not is_same(entry.path, output):
                            folders.append(entry.name)
                    elif kind != "picture":
                        left[kind] += 1
                    else:
                        names.append(entry.name)
                        if entry.is_symlink() and not is_below(
                            os.path.realpath(entry.path), real_root
                        ):
                            leaving.add(entry.name)
        except OSError as error:
            found += 1
            yield Input(os.path.join(root, top), top, reason_of(error))
        found += len(names)
        names.sort(reverse=True)
        while names:  # those that are jobs already need no place here
            name = names.pop()
            relative = os.path.join(top, name)
            problem = _LEAVES if name in leaving else ""
            yield Input(os.path.join(root, relative), relative, problem, root)
        waiting += (os.path.join(top, name) for name in sorted(folders, reverse=True))
    if left:
        kinds = (
            f"{left[one]} {several if left[one] > 1 else one}"
            for one, several in _LEFT_ALONE.items()
            if left[one]
        )
        note(f"{shown(root)}: note: left alone: {', '.join(kinds)}")
    if not found:
        yield Input(root, "", "no pictures found in this folder")


_LEAVES = "is a link to a file outside of the folder; to filter that, name it as an input"

_LEFT_ALONE = {
    "other file": "other files",
    "earlier result": "earlier results",
    "link to a folder": "links to folders",
    "dangling link": "dangling links",
    "special file": "special files",
}
"""What a walk leaves alone: one, and several."""


def _kind(entry: os.DirEntry[str], own: str | None) -> str:
    """Say what is there without opening it: "folder", "picture", or a word of `_LEFT_ALONE`."""
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    try:
        mode = entry.stat().st_mode if entry.is_symlink() else 0
    except OSError:  # leads nowhere, in a circle, or where nobody may look
        return "dangling link"
    if stat.S_ISDIR(mode):
        return "link to a folder"
    if not (stat.S_ISREG(mode) or entry.is_file(follow_symlinks=False)):
        return "special file"  # to open a FIFO would wait for ever
    # macOS keeps what other disks have no place for in files beside, "._photo.jpg".
    # (By the whole path: Path interns the names that it is given, which costs 75 bytes each.)
    if entry.name.startswith("._") or not is_picture(Path(entry.path)):
        return "other file"
    return "earlier result" if Path(Path(entry.path).stem).suffix == own else "picture"


def _inside(path: Path) -> Path:
    """Say where a listed file goes under an output folder: never outside of it."""
    if path.is_absolute() or ".." in path.parts:
        absolute = Path(os.path.abspath(path))
        here = Path.cwd()
        inside = absolute.is_relative_to(here)
        return absolute.relative_to(here if inside else absolute.anchor)
    return path


def _problem(path: Path) -> str:
    try:
        if path.is_file():
            return ""
        path.stat()
    except OSError as error:
        return reason_of(error)
    if path.is_dir():
        return "is a folder; name it as an input, with -r"
    return "is not a regular file; pipe it in, and name '-'"

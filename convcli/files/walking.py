"""The inputs of a request: named, listed, or found in folders. No image is opened."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path, PurePath
from typing import BinaryIO, Literal, NamedTuple, TypeVar

from convcli import memory
from convcli.errors import ConvcliError, reason_of, shown
from convcli.files.folders import Place, opened
from convcli.files.formats import is_picture
from convcli.files.job import Job, Request
from convcli.files.places import is_below, is_same
from convcli.files.skipped import Kind, Skipped
from convcli.files.stores import HIDDEN, is_store
from convcli.files.urls import is_url, last_part
from convcli.words import UTF16, text_in

# Limits on a list: Linux has names of at most 4096 bytes, and a name with its job takes about 300
# bytes here, so that ten million take 3 GB.
_LONGEST_NAME = 1 << 16
_MOST_NAMES = 10_000_000
_BYTES_A_NAME = 300
_PART = 1 << 16

# `stat.IO_REPARSE_TAG_MOUNT_POINT`, which Python has on Windows alone.
_JUNCTION = 0xA0000003


AnyPath = TypeVar("AnyPath", bound=PurePath)


class Input(NamedTuple):
    """An image that was named, listed or found in a folder.

    `relative` is its path below an output folder, `problem` why it cannot be filtered, and
    `root` the folder in which it was found, if it was.
    """

    source: str
    relative: str
    problem: str = ""
    root: str | None = None


def inputs_of(request: Request, note: Callable[[str, str], None]) -> Iterator[Input]:
    """Yield every input, in the order of the request."""
    if request.files_from is not None:
        for name in _listed(request.files_from, request.null):
            if is_url(name):
                yield Input(name, last_part(name))
                continue
            path = Path(name)
            yield Input(str(path), str(_relative(path)), _problem(path))
        return
    for typed in request.inputs:
        path = Path(typed)
        if is_url(typed):
            yield Input(typed, last_part(typed))
        elif os.path.isdir(path) and not is_store(path):  # unlike Path.is_dir, it never raises
            if not request.recursive:
                raise ConvcliError(f"{shown(typed)} is a folder; add -r to filter the images in it")
            yield from _walked(str(path), request, note)
        else:
            yield Input(str(path), path.name, _problem(path))


def _listed(name: str, null: bool) -> list[str]:
    """Read the list of --files-from: one name a line, or names separated by NUL."""
    separator = b"\0" if null else b"\n"
    try:
        with nullcontext(sys.stdin.buffer) if name == "-" else open(name, "rb") as file:
            content = _list_in(file, separator)
    except OSError as error:
        raise ConvcliError(f"--files-from {shown(name)}: {reason_of(error)}") from None
    except ConvcliError as error:
        raise ConvcliError(f"--files-from {shown(name)}: {error}") from None
    if not null:
        content = content.removeprefix(b"\xef\xbb\xbf")  # the byte order mark of Windows
    names = [entry.removesuffix(b"\r") if not null else entry for entry in content.split(separator)]
    found = [os.fsdecode(entry) for entry in names if entry]
    if not found:
        raise ConvcliError(f"--files-from {shown(name)}: lists no files")
    return found


def _list_in(file: BinaryIO, separator: bytes) -> bytes:
    """Read a list part by part; one without an end is refused before it takes much memory."""
    content = bytearray()
    names = 0
    while part := file.read(_PART):
        content += part
        if separator != b"\0" and b"\0" in part and not content.startswith(UTF16):
            raise ConvcliError("contains NUL bytes; add --null if they separate the names")
        names += part.count(separator)
        if names > _MOST_NAMES:
            raise ConvcliError(f"lists more than {_MOST_NAMES} files; split it")
        if len(content) - content.rfind(separator) > _LONGEST_NAME + 1:
            raise ConvcliError(
                f"contains a name of more than {_LONGEST_NAME} bytes; is it a list of files?"
            )
    memory.check(len(content) + names * _BYTES_A_NAME)
    if separator != b"\0" and content.startswith(UTF16):
        try:
            text = text_in(bytes(content))
        except UnicodeError:
            text = "\0"
        if "\0" in text:
            raise ConvcliError("is neither UTF-8 nor UTF-16")
        return os.fsencode(text)
    return bytes(content)


def _walked(root: str, request: Request, note: Callable[[str, str], None]) -> Iterator[Input]:
    """Yield the images below a folder in a fixed order; links to folders are not followed."""
    real_root = os.path.realpath(root)
    # Results beside the inputs, from an earlier run of this command. In place there are none.
    in_place = request.existing == "in place"
    own = request.mark if request.output is None and not in_place else None
    output = request.output
    skipped = Skipped(request.command)
    linked: set[str] = set()  # files that are no inputs by their own names
    found = 0
    waiting = [""]
    while waiting:
        top = waiting.pop()
        names, folders, leaving = [], [], set()
        try:
            with opened(os.path.join(real_root, top)) as place, _listing(place) as entries:
                for entry in entries:
                    path = os.path.join(root, top, entry.name)
                    kind = _kind(entry, path, own)
                    if kind == "folder":
                        # The output folder may be below the input folder, and another shard may
                        # have made it just now: its images are results.
                        if output is None or not is_same(path, output):
                            folders.append(entry.name)
                    elif kind != "picture":
                        skipped.add(kind, entry.name)
                    elif not entry.is_symlink():
                        names.append(entry.name)
                    elif not is_below(target := os.path.realpath(path), real_root):
                        names.append(entry.name)
                        leaving.add(entry.name)
                    elif in_place and (_is_named_as_picture(target) or target in linked):
                        skipped.add("link to an image", entry.name)  # filtered by its own name
                    else:
                        names.append(entry.name)
                        linked.add(target)
        except OSError as error:
            found += 1
            yield Input(os.path.join(root, top), top, reason_of(error))
        found += len(names)
        names.sort(reverse=True)
        while names:  # popped, because a name that is a job is not needed here any more
            name = names.pop()
            relative = os.path.join(top, name)
            problem = LEAVES if name in leaving else ""
            yield Input(os.path.join(root, relative), relative, problem, root)
        waiting += (os.path.join(top, name) for name in sorted(folders, reverse=True))
    if skipped:
        note(f"skipped {skipped}", shown(root))
    if not found:
        yield Input(root, "", "no images found in this folder")


LEAVES = "is a link to a file outside the folder; to filter that file, name it as an input"


@contextmanager
def _listing(place: Place) -> Iterator[Iterator[os.DirEntry[str]]]:
    """List an open folder, which is opened again for that: the first way is for search alone."""
    if place.number is None:
        with os.scandir(place.folder) as entries:
            yield entries
        return
    number = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=place.number)
    try:
        with os.scandir(number) as entries:
            yield entries
    finally:
        os.close(number)


def check_stays(job: Job) -> None:
    """Raise `ConvcliError` if a file that was found in a folder has become a link out of it."""
    name, folder = job.source_name, job.found_in
    if name is not None and folder and not is_below(os.path.realpath(name), folder):
        raise ConvcliError(LEAVES)


def _kind(
    entry: os.DirEntry[str], path: str, own: str | None
) -> Kind | Literal["folder", "picture"]:
    """Return what an entry of a folder is, without opening it."""
    if entry.is_dir(follow_symlinks=False):
        if is_store(path):
            is_result = _is_marked(path, own) or entry.name.startswith(HIDDEN)
            return "earlier result" if is_result else "picture"
        # Windows makes junctions in each home, one of which leads to its own parent.
        tag = getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0)
        return "link to a folder" if tag == _JUNCTION else "folder"
    try:
        mode = entry.stat().st_mode if entry.is_symlink() else 0
    except OSError:  # the target is missing, the link itself, or in a folder without permission
        return "broken link"
    if stat.S_ISDIR(mode):
        return "link to a folder"
    if not (stat.S_ISREG(mode) or entry.is_file(follow_symlinks=False)):
        return "special file"  # opening a FIFO could block for ever
    if not _is_named_as_picture(path):
        return "file"
    return "earlier result" if _is_marked(path, own) else "picture"


def _is_marked(path: str, own: str | None) -> bool:
    stem = Path(path).stem
    return own is not None and stem.endswith(own) and stem != own


def _is_named_as_picture(path: str) -> bool:
    # macOS writes what other file systems cannot store into files such as "._photo.jpg".
    # (Of the whole path, because Path interns the names that it is given: 75 bytes each.)
    return not os.path.basename(path).startswith("._") and is_picture(Path(path))


def _relative(path: Path) -> Path:
    """Return the path of a listed file below an output folder, and never outside it."""
    # An anchor alone leads outside, too: "C:x.png" of Windows is in the folder of that drive.
    if not path.anchor and ".." not in path.parts:
        return path
    absolute, here = Path(os.path.abspath(path)), Path.cwd()
    if not path.anchor and not absolute.is_relative_to(here):
        # As tar does: "../photos/a.png" is "photos/a.png" there.
        climbing = Path(os.path.normpath(path)).parts
        return Path(*(part for part in climbing if part != ".."))
    return below(absolute, here)


def below(absolute: AnyPath, here: AnyPath) -> AnyPath:
    r"""Return a path relative to a folder that it is in, or else to its root or drive.

    >>> from pathlib import PureWindowsPath
    >>> below(PureWindowsPath(r"D:\photos\a.png"), PureWindowsPath(r"C:\work")).as_posix()
    'photos/a.png'
    """
    return absolute.relative_to(here if absolute.is_relative_to(here) else absolute.anchor)


def _problem(path: Path) -> str:
    try:
        if path.is_file() or is_store(path):
            return ""
        path.stat()
    except OSError as error:
        return reason_of(error)
    if path.is_dir():
        return "is a folder; to filter it, name it as an input with -r"
    return "is not a regular file; to filter it, pipe it to standard input"

"""Which inputs become which outputs: files, folders, lists, standard input. No pixels here."""

from __future__ import annotations

import os
import re
import stat
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

from convcli.errors import ConvcliError, reason_of, shown
from convcli.formats import FORMATS, format_named, format_of, is_picture

Existing = Literal["refuse", "overwrite", "skip", "in place"]
"""What to do where an output exists."""


class Job:
    """One picture's way.

    A hundred thousand of them lie in memory. Two paths take 700 bytes in Python 3.11, and so
    are made when they are asked for. What is kept is text, and jobs share their folders: 160
    bytes where the output has the input's name, and 230 where it has its own.

    Attributes
    ----------
    source : Path or None
        A file; None is standard input.
    target : Path or None
        A file; None is standard output.
    format : str or None
        What to write; None is the format that the source turns out to have.
    problem : str
        Why it cannot be done, found while looking; empty if it can be tried.
    skip : bool
        The output exists and is to be left alone.
    read, written : str or None
        `source` and `target` as text.
    """

    __slots__ = ("_folder", "_into", "_name", "_result", "format", "problem", "skip")

    def __init__(
        self,
        source: str | os.PathLike[str] | None,
        target: str | os.PathLike[str] | None,
        format: str | None,  # noqa: A002 - the word of --format
        problem: str = "",
        skip: bool = False,
    ) -> None:
        self._folder, self._name = _split(source)
        self._into, self._result = _split(target)
        if self._result == self._name:
            self._result = self._name
        self.format = format
        self.problem = problem
        self.skip = skip

    @property
    def source(self) -> Path | None:  # noqa: D102 - among the attributes
        return None if self.read is None else Path(self.read)

    @property
    def target(self) -> Path | None:  # noqa: D102
        return None if self.written is None else Path(self.written)

    @property
    def read(self) -> str | None:  # noqa: D102
        return None if self._name is None else os.path.join(self._folder, self._name)

    @property
    def written(self) -> str | None:  # noqa: D102
        return None if self._result is None else os.path.join(self._into, self._result)


def _split(path: str | os.PathLike[str] | None) -> tuple[str, str | None]:
    """Take a path apart; equal folders are one text."""
    if path is None:
        return "", None
    folder, name = os.path.split(path)
    return sys.intern(folder), name


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line, as far as it concerns files.

    `inputs` and `output` are as typed: a trailing slash and "-" mean something. So is
    `shard`, "I/N": the I-th of N equal parts.
    """

    command: str
    inputs: tuple[str, ...] = ()
    files_from: str | None = None
    null: bool = False
    output: str | None = None
    format: str | None = None
    recursive: bool = False
    existing: Existing = "refuse"
    shard: str | None = None


class Input(NamedTuple):
    """A picture that was named, listed or walked to.

    `relative` is its place under an output folder, `problem` what is wrong with it, and
    `root` the folder that was walked, if one was.
    """

    source: str
    relative: str
    problem: str = ""
    root: str | None = None


def jobs_for(request: Request, note: Callable[[str], None] = lambda _: None) -> list[Job]:
    """Turn a request into jobs, before anything is read or written.

    `note` hears in one line for each walked folder what was left alone in it.

    Raises
    ------
    ConvcliError
        For a request that makes no sense as a whole: then nothing is touched. What is wrong
        with a single input becomes its job's `problem`.
    """
    format_name = None if request.format is None else format_named(request.format)
    part, parts = (1, 1) if request.shard is None else _shard(request.shard)
    if request.output == "" or "" in request.inputs:
        raise ConvcliError("a name is empty (''); a shell variable without a value, perhaps")
    if request.files_from is not None and request.inputs:
        raise ConvcliError("name the inputs or list them with --files-from, not both")
    if request.files_from is None and request.null:
        raise ConvcliError("--null says how the names in --files-from are kept apart")
    if request.existing == "in place" and request.output is not None:
        raise ConvcliError("--in-place writes over the inputs, so it takes no --output")
    if request.existing == "in place" and format_name:
        raise ConvcliError("--in-place keeps the names, and so the formats; it takes no --format")
    if "-" in request.inputs and len(request.inputs) > 1:
        raise ConvcliError("standard input ('-') can be the only input, not one of several")
    if request.files_from is None and request.inputs in ((), ("-",)):
        return [_piped(request, format_name)]
    several = request.files_from is not None or any(map(os.path.isdir, request.inputs))
    many = several or len(request.inputs) > 1 or _names_folder(request.output)
    if request.output == "-" and many:
        raise ConvcliError("standard output takes one picture; name a folder with -o")
    if many and request.output is not None:
        _check_folder(request.output)
    _real_folder.cache_clear()
    inputs: Iterable[Input] = _inputs(request, note)
    if request.shard is not None:
        # Not by their whole names: the folder may be mounted elsewhere on another machine.
        inputs = sorted(inputs, key=lambda found: found.relative)
    jobs = [_file_job(request, found, format_name, many) for found in inputs]
    # Every machine refuses the whole; what is there already may be another one's part.
    _check_clashes(jobs)
    if request.existing in ("refuse", "overwrite"):
        _check_inputs_stay(jobs)
    jobs = jobs[part - 1 :: parts]
    _check_existing(jobs, request.existing)
    return jobs


def _shard(text: str) -> tuple[int, int]:
    """Read --shard."""
    match = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", text)
    part, parts = map(int, match.groups()) if match else (0, 0)
    if not 1 <= part <= parts:
        raise ConvcliError(f"--shard must be I/N, such as 1/4 for the first of four, not {text!r}")
    return part, parts


def _inputs(request: Request, note: Callable[[str], None]) -> Iterator[Input]:
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
    separator = b"\0" if null else b"\n"
    names = [entry.removesuffix(b"\r") if not null else entry for entry in content.split(separator)]
    found = [os.fsdecode(entry) for entry in names if entry]
    if not found:
        raise ConvcliError(f"--files-from {shown(name)}: lists no files")
    return found


def _walked(root: str, request: Request, note: Callable[[str], None]) -> Iterator[Input]:
    """List the pictures under a folder, in order; links to folders are not followed."""
    real_root = os.path.realpath(root)
    # On a second run, this command's names beside the inputs are results.
    own = None if request.output else f".{request.command}"
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
                        if output is None or not _is_same(entry.path, output):
                            folders.append(entry.name)
                    elif kind != "picture":
                        left[kind] += 1
                    else:
                        names.append(entry.name)
                        if entry.is_symlink() and not _is_below(
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


def _is_below(place: str, folder: str) -> bool:
    """Whether a file is somewhere in a folder, for two names without links in them."""
    return place.startswith(os.path.join(folder, ""))


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


def _names_folder(output: str | None) -> bool:
    return output is not None and output != "-" and (
        output.endswith(("/", os.sep)) or os.path.isdir(output)
    )  # fmt: skip


def _check_folder(output: str) -> None:
    """Refuse an -o that several pictures cannot go into, or that was meant as one picture."""
    if os.path.isdir(output):
        return
    if os.path.lexists(output.rstrip("/")):
        raise ConvcliError(f"{shown(output)} is not a folder, which -o must be here")
    if is_picture(Path(output)) and not _names_folder(output):
        raise ConvcliError(
            f"-o {shown(output)} names one picture, and here a folder is needed; "
            f"if it shall be called that, add a slash"
        )


def _piped(request: Request, format_name: str | None) -> Job:
    """Make the job of standard input, which goes to standard output unless -o says otherwise."""
    if request.existing == "in place":
        raise ConvcliError("standard input cannot be written in place")
    if request.shard is not None:
        raise ConvcliError("--shard shares out many inputs, and standard input is one picture")
    if request.output in (None, "-"):
        return Job(None, None, format_name)
    assert request.output is not None
    if _names_folder(request.output):
        raise ConvcliError(
            f"{shown(request.output)} is a folder, and standard input has no name; "
            "name a file with -o"
        )
    target = Path(request.output)
    jobs = [Job(None, request.output, _named_format(target, format_name))]
    _check_existing(jobs, request.existing)
    return jobs[0]


def _file_job(request: Request, found: Input, format_name: str | None, many: bool) -> Job:
    """Decide where the result of a file goes, and in which format."""
    if found.problem:
        return Job(found.source, None, None, found.problem)
    if request.output == "-":
        return Job(found.source, None, format_name)
    if request.existing == "in place":
        return Job(found.source, found.source, None)  # what it is, whatever its suffix says
    source = Path(found.source)
    within = found.root
    if request.output is None:
        suffix = FORMATS[format_name].suffixes[0] if format_name else source.suffix
        target = source.with_name(f"{source.stem}.{request.command}{suffix}")
    elif many:
        within = request.output
        target = Path(request.output, found.relative)
        if format_name and _known_format(target) != format_name:
            target = target.with_suffix(FORMATS[format_name].suffixes[0])
    else:
        target = Path(request.output)
        format_name = _named_format(target, format_name)
    problem = ""
    if within is not None:
        place = _real(str(target))
        if not _is_below(place, _real_folder(within)):
            problem = f"would be written outside of {shown(within)}: a link leads to {shown(place)}"
    return Job(found.source, str(target), format_name or _known_format(target), problem)


def _named_format(target: Path, format_name: str | None) -> str:
    """Return the format of an output that was named, which --format may not contradict."""
    if format_name and _known_format(target) not in (None, format_name):
        raise ConvcliError(
            f"{shown(target)} is the name of a {_known_format(target)}, and --format says "
            f"{format_name}; change one of them"
        )
    return format_name or format_of(target)


def _known_format(path: Path) -> str | None:
    """Return the suffix's format, or None: then the result is in the source's own."""
    return format_of(path) if is_picture(path) else None


def _check_clashes(jobs: list[Job]) -> None:
    """Refuse two inputs for one output, also where only the disk takes their names for one."""
    numbers = [_number(_real(job.written)) for job in jobs if job.written is not None]
    numbers.sort()
    twice = {number for number, other in pairwise(numbers) if number == other}
    probe = cache(ignores_case)
    first: dict[str, Job] = {}
    for job in jobs if twice else ():
        if job.written is None or job.read is None:
            continue
        place = _real(job.written)
        if _number(place) not in twice:
            continue
        name = _folded(place) if probe(os.path.dirname(place)) else place
        other = first.setdefault(name, job)
        if other is not job:
            assert other.read is not None
            assert other.written is not None
            why = "" if _real(other.written) == place else ", on a disk that ignores case"
            raise ConvcliError(
                f"{shown(other.read)} and {shown(job.read)} would both be written to "
                f"{shown(job.written)}{why}; filter them apart, or into folders of their own"
            )


def _number(place: str) -> int:
    """Return what stands for a name in 32 bytes, case and Unicode's forms apart.

    Two that have the same one are not yet the same.
    """
    return hash(_folded(place)) % 2**60


def _folded(place: str) -> str:
    """Return what names have in common that differ in case or in Unicode's way to write them."""
    return unicodedata.normalize("NFC", place.casefold())


def ignores_case(folder: str) -> bool:
    """Whether the disk takes ``X.png`` and ``x.png`` in a folder, made or not, for one file.

    Nothing is written to find that out: a name that is there is looked up with its case
    swapped. What is in the folder knows best, else what is above it on the same disk; on an
    empty one the answer is no.
    """
    while True:
        names: set[str] = set()
        with suppress(OSError):
            names.update(os.listdir(folder))
        for name in names:
            swapped = name.swapcase()
            if name.isascii() and swapped not in names:
                try:
                    status, other = (os.lstat(os.path.join(folder, n)) for n in (name, swapped))
                except OSError:
                    return False
                return os.path.samestat(status, other)
        if os.path.ismount(folder):
            return False
        folder = os.path.dirname(folder)


def _check_inputs_stay(jobs: list[Job]) -> None:
    """Refuse an output that is an input by whatever name."""
    found = (_file_id(job.written) for job in jobs if job.written is not None)
    ids = {hash(one) for one in found if one is not None}
    for job in jobs if ids else ():
        here = None if job.read is None else _file_id(job.read)
        if here is None or hash(here) not in ids:
            continue
        for other in jobs:
            if other.written is None or other.read is None or _file_id(other.written) != here:
                continue
            if _file_id(other.read) == here:
                raise ConvcliError(
                    f"{shown(other.written)} is the input; "
                    "to write over it, use --in-place without -o"
                )
            raise ConvcliError(
                f"{shown(other.written)} is an input, and {shown(other.read)} would be "
                "written over it; name fewer inputs, or another -o"
            )


def _file_id(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return what a file is by whatever name: links, ``./x`` and other spellings are one."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_same(path: str, other: str) -> bool:
    here = _file_id(path)
    return here is not None and here == _file_id(other)


def _real(path: str | os.PathLike[str]) -> str:
    """Return the place of a file, links followed; files of one folder cost one look at it."""
    if os.path.islink(path):
        return os.path.realpath(path)
    folder, name = os.path.split(path)
    return os.path.join(_real_folder(folder), name)


# A walk comes to a folder once, and a list mostly too; more would be kept for nothing.
_real_folder = lru_cache(maxsize=128)(os.path.realpath)


def _check_existing(jobs: list[Job], existing: Existing) -> None:
    """Refuse, or mark as skipped, what is there already."""
    if existing in ("overwrite", "in place"):
        return
    there = [
        number
        for number, job in enumerate(jobs)
        if job.written is not None and os.path.lexists(job.written)
    ]
    if there and existing == "refuse":
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise ConvcliError(
            f"{shown(jobs[there[0]].written or '')}{more} exists; "
            "use --overwrite, --skip-existing, or another -o"
        )
    for number in there:
        jobs[number].skip = True

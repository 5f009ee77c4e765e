"""Which inputs become which outputs: files, folders, lists, standard input. No pixels here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from convcli.errors import ConvcliError, reason_of, shown
from convcli.formats import FORMATS, format_named, format_of, is_picture

Existing = Literal["refuse", "overwrite", "skip", "in place"]
"""What to do where an output exists."""


@dataclass(frozen=True, slots=True)
class Job:
    """One picture's way.

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
    """

    source: Path | None
    target: Path | None
    format: str | None
    problem: str = ""
    skip: bool = False


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line, as far as it concerns files.

    `inputs` and `output` are as typed: a trailing slash and "-" mean something.
    """

    command: str
    inputs: tuple[str, ...] = ()
    files_from: str | None = None
    null: bool = False
    output: str | None = None
    format: str | None = None
    recursive: bool = False
    existing: Existing = "refuse"


def jobs_for(request: Request) -> list[Job]:
    """Turn a request into jobs, before anything is read or written.

    Raises
    ------
    ConvcliError
        For a request that makes no sense as a whole: then nothing is touched. What is wrong
        with a single input becomes its job's `problem`.
    """
    format_name = None if request.format is None else format_named(request.format)
    if request.output == "" or "" in request.inputs:
        raise ConvcliError("a name is empty (''); a shell variable without a value, perhaps")
    inputs = list(_inputs(request))
    if request.existing == "in place" and request.output is not None:
        raise ConvcliError("--in-place writes over the inputs, so it takes no --output")
    if request.existing == "in place" and format_name:
        raise ConvcliError("--in-place keeps the names, and so the formats; it takes no --format")
    if any(source is None for source, _, _ in inputs):
        return [_piped(request, format_name)]
    many = len(inputs) != 1 or _names_folder(request.output) or _several(request)
    if request.output == "-" and many:
        raise ConvcliError("standard output takes one picture; name a folder with -o")
    if many and request.output is not None:
        _check_folder(request.output)
    jobs = []
    for source, relative, problem in inputs:
        assert source is not None
        if problem:
            jobs.append(Job(source, None, None, problem))
        elif request.output == "-":
            jobs.append(Job(source, None, format_name))
        else:
            jobs.append(_file_job(request, source, relative, format_name, many))
    _check_clashes(jobs, request.existing)
    return _check_existing(jobs, request.existing)


Input = tuple[Path | None, Path, str]
"""A source, its place under an output folder, and what is wrong with it."""


def _inputs(request: Request) -> Iterator[Input]:
    """List every picture that was named, walked to, or is piped in."""
    if request.files_from is not None and request.inputs:
        raise ConvcliError("name the inputs or list them with --files-from, not both")
    if request.files_from is not None:
        for name in _listed(request.files_from, request.null):
            path = Path(name)
            yield path, _inside(path), _problem(path)
        return
    if request.null:
        raise ConvcliError("--null says how the names in --files-from are kept apart")
    for typed in request.inputs or ("-",):
        if typed == "-":
            if len(request.inputs) > 1:
                raise ConvcliError("standard input ('-') can be the only input, not one of several")
            yield None, Path("-"), ""
            continue
        path = Path(typed)
        if os.path.isdir(path):  # unlike Path.is_dir, it raises nothing
            if not request.recursive:
                raise ConvcliError(f"{shown(typed)} is a folder; add -r to filter what is in it")
            yield from _walked(path, request)
        else:
            yield path, Path(path.name), _problem(path)


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


def _walked(folder: Path, request: Request) -> Iterator[Input]:
    """List the pictures under a folder, in order; links to folders are not followed."""
    unreadable: list[OSError] = []
    output = os.path.realpath(request.output) if request.output else None
    own = f".{request.command}"
    found = 0
    for top, folders, files in os.walk(folder, onerror=unreadable.append):
        # An output folder inside the input folder holds results, not inputs.
        folders[:] = sorted(
            name for name in folders if os.path.realpath(os.path.join(top, name)) != output
        )
        for name in sorted(files):
            path = Path(top, name)
            # So do this command's own names beside the inputs, on a second run.
            written_before = request.output is None and Path(path.stem).suffix == own
            if is_picture(path) and path.is_file() and not written_before:
                found += 1
                yield path, path.relative_to(folder), ""
    for error in unreadable:
        where = Path(error.filename)
        yield where, where, reason_of(error)
    if not found and not unreadable:
        yield folder, folder, "no pictures found in this folder"


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


def _several(request: Request) -> bool:
    return request.files_from is not None or any(map(os.path.isdir, request.inputs))


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
    if request.output in (None, "-"):
        return Job(None, None, format_name)
    assert request.output is not None
    if _names_folder(request.output):
        raise ConvcliError(
            f"{shown(request.output)} is a folder, and standard input has no name; "
            "name a file with -o"
        )
    target = Path(request.output)
    job = Job(None, target, _named_format(target, format_name))
    return _check_existing([job], request.existing)[0]


def _file_job(
    request: Request, source: Path, relative: Path, format_name: str | None, many: bool
) -> Job:
    """Decide where the result of a file goes, and in which format."""
    if request.existing == "in place":
        return Job(source, source, None)  # what it is, whatever its suffix says
    if request.output is None:
        suffix = FORMATS[format_name].suffixes[0] if format_name else source.suffix
        target = source.with_name(f"{source.stem}.{request.command}{suffix}")
        return Job(source, target, format_name or _known_format(target))
    if many:
        target = Path(request.output, relative)
        if format_name and _known_format(target) != format_name:
            target = target.with_suffix(FORMATS[format_name].suffixes[0])
        return Job(source, target, format_name or _known_format(target))
    target = Path(request.output)
    return Job(source, target, _named_format(target, format_name))


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


def _check_clashes(jobs: list[Job], existing: Existing) -> None:
    """Refuse two inputs for one output, and an output that is an input."""
    targets: dict[str, Path] = {}
    sources = {_file_id(job.source) for job in jobs if job.source is not None} - {None}
    for job in jobs:
        if job.target is None or job.source is None:
            continue
        place = os.path.realpath(job.target)
        if place in targets:
            raise ConvcliError(
                f"{shown(targets[place])} and {shown(job.source)} would both be written to "
                f"{shown(job.target)}; filter them apart, or into folders of their own"
            )
        targets[place] = job.source
        there = _file_id(job.target)
        if there not in sources or existing in ("in place", "skip"):
            continue
        if there == _file_id(job.source):
            raise ConvcliError(
                f"{shown(job.target)} is the input; to write over it, use --in-place without -o"
            )
        raise ConvcliError(
            f"{shown(job.target)} is an input, and {shown(job.source)} would be written over it; "
            "name fewer inputs, or another -o"
        )


def _file_id(path: Path) -> tuple[int, int] | None:
    """Return what a file is by whatever name: links, ``./x`` and other spellings are one."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _check_existing(jobs: list[Job], existing: Existing) -> list[Job]:
    """Refuse, or mark as skipped, what is there already."""
    if existing in ("overwrite", "in place"):
        return jobs
    there = [job for job in jobs if job.target is not None and os.path.lexists(job.target)]
    if there and existing == "refuse":
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise ConvcliError(
            f"{shown(there[0].target or '')}{more} exists; "
            "use --overwrite, --skip-existing, or another -o"
        )
    found = set(there)
    return [replace(job, skip=True) if job in found else job for job in jobs]

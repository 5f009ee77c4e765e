"""Which inputs become which outputs: files, folders, lists, standard input. No pixels here."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from convcli.errors import ConvcliError, shown
from convcli.files.clashes import check_clashes, check_inputs_stay
from convcli.files.formats import FORMATS, format_named, format_of, is_picture
from convcli.files.job import Existing, Job, Request
from convcli.files.places import is_below, real, real_folder
from convcli.files.walking import Input, inputs_of


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
    real_folder.cache_clear()
    inputs: Iterable[Input] = inputs_of(request, note)
    if request.shard is not None:
        # Not by their whole names: the folder may be mounted elsewhere on another machine.
        inputs = sorted(inputs, key=lambda found: found.relative)
    jobs = [_file_job(request, found, format_name, many) for found in inputs]
    # Every machine refuses the whole; what is there already may be another one's part.
    check_clashes(jobs)
    if request.existing in ("refuse", "overwrite"):
        check_inputs_stay(jobs)
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


def _check_parents(target: Path) -> None:
    """Refuse an output in what is a file: folders are made, but not in place of those."""
    there = next((folder for folder in target.parents if os.path.lexists(folder)), None)
    if there and not os.path.isdir(there):
        raise ConvcliError(f"-o {shown(target)}: {shown(there)} is not a folder")


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
    _check_parents(target)
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
        _check_parents(target)
    problem = ""
    if within is not None:
        place = real(str(target))
        if not is_below(place, real_folder(within)):
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


def _check_existing(jobs: list[Job], existing: Existing) -> None:
    """Refuse, or mark as skipped, what is there already."""
    if existing in ("overwrite", "in place"):
        return
    there = [
        number
        for number, job in enumerate(jobs)
        if job.target_name is not None and os.path.lexists(job.target_name)
    ]
    if there and existing == "refuse":
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise ConvcliError(
            f"{shown(jobs[there[0]].target_name or '')}{more} exists; "
            "use --overwrite, --skip-existing, or another -o"
        )
    for number in there:
        job = jobs[number]
        if os.path.isdir(job.target_name or ""):
            job.problem = f"{shown(job.target_name or '')} is a folder"
        else:
            job.skip = True

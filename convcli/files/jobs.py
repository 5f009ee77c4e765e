"""From a request to its jobs: which input becomes which output. No pixels here."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from convcli.errors import ConvcliError, shown
from convcli.files import placing
from convcli.files.clashes import check_clashes, check_inputs_stay, check_many, divided
from convcli.files.formats import format_named, format_of, is_picture, spelt, suffix_of
from convcli.files.job import Existing, Job, Request
from convcli.files.many import MOST_HELD, Jobs, ManyJobs
from convcli.files.names import problem_of_name
from convcli.files.places import is_below, is_newer, leads_outside, real_folder, real_path
from convcli.files.stores import is_store
from convcli.files.urls import is_url
from convcli.files.walking import Input, inputs_of


def jobs_for(
    request: Request, note: Callable[[str, str], None] = lambda _text, _about: None
) -> Jobs:
    """Turn a request into jobs, before any image is read or written.

    `note` is called with a text and the name of each folder in which a walk skipped something. Very
    many jobs of folders are not held: folders are walked again.

    Raises
    ------
    ConvcliError
        If the request as a whole is invalid. A problem with a single input becomes its job's
        `problem` instead.
    """
    real_folder.cache_clear()  # folders may be other ones than for an earlier request
    format_name = None if request.format is None else format_named(request.format)
    part, parts = (1, 1) if request.shard is None else _shard(request.shard)
    if request.output == "" or "" in request.inputs:
        raise ConvcliError("a name is empty (''); check for a shell variable that is not set")
    if request.files_from is not None and request.inputs:
        raise ConvcliError("--files-from and named inputs cannot be used together; leave one out")
    if request.files_from is None and request.null:
        raise ConvcliError("--null needs --files-from, whose names it separates")
    if request.existing == "in place" and request.output is not None:
        raise ConvcliError(
            "--in-place and --output cannot be used together; --in-place replaces the inputs"
        )
    if request.existing == "in place" and format_name:
        raise ConvcliError(
            "--in-place and --format cannot be used together; --in-place keeps the formats"
        )
    placing.check(request)
    if "-" in request.inputs and len(request.inputs) > 1:
        raise ConvcliError("standard input ('-') must be the only input; leave the others out")
    if request.parts:
        _check_parts(request)
    if request.files_from is None and request.inputs in ((), ("-",)):
        return [_piped(request, format_name)]
    several = request.files_from is not None or any(map(_is_folder, request.inputs))
    many = several or len(request.inputs) > 1 or _names_folder(request.output)
    many = many or bool(request.parts)
    if request.output == "-" and many:
        raise ConvcliError("standard output takes one image; for several, name a folder with -o")
    if many and request.output is not None:
        _check_folder(request.output, "results" if request.parts else "inputs")
    real_folder.cache_clear()
    inputs: Iterable[Input] = placing.chosen(inputs_of(request, note), request)
    if request.shard is not None:
        # By relative paths: another machine may have mounted the folder elsewhere.
        inputs = sorted(inputs, key=lambda found: found.relative)
    listed = (_file_job(request, found, format_name, many) for found in inputs)
    jobs = list(islice(listed, MOST_HELD + 1))
    if len(jobs) > MOST_HELD and request.files_from is None and request.shard is None:
        first, jobs = jobs, []
        return _many(request, format_name, chain(_drained(first), listed))
    jobs += listed
    if not jobs:
        raise ConvcliError("--exclude leaves out every input; choose another pattern")
    # Clashes are checked for all parts. Existing outputs only for this one, because those of
    # the other parts may be the work of another machine.
    outputs = divided(jobs) if request.parts else jobs
    check_clashes(outputs)
    if request.existing in ("refuse", "overwrite", "newer"):
        check_inputs_stay(outputs)
    jobs = jobs[part - 1 :: parts]
    _check_existing(jobs, request.existing)
    return jobs


def _many(request: Request, format_name: str | None, jobs: Iterator[Job]) -> ManyJobs:
    """Check jobs that are too many to be held, and return them.

    Only a number of each output is kept meanwhile, and one of each output that exists.
    """

    def again() -> Iterator[Job]:
        for found in placing.chosen(inputs_of(request, lambda _text, _about: None), request):
            job = _file_job(request, found, format_name, many=True)
            if request.existing in ("skip", "newer"):
                _check_existing([job], request.existing)
            yield job

    formats: set[str | None] = set()
    there: list[str] = []
    exist = count = 0
    refuses = request.existing == "refuse"

    def seen() -> Iterator[Job]:
        nonlocal exist, count
        for job in jobs:
            count += 1
            if not job.problem:
                formats.add(job.format)
            found = [*filter(_exists, job.outputs)] if refuses else []
            exist += len(found)
            there.extend(found[: not there])
            yield job

    check_many(seen(), again, request.existing)
    if exist:
        _refuse(there[0], exist)
    return ManyJobs(again, count, formats)


def _drained(jobs: list[Job]) -> Iterator[Job]:
    """Yield jobs, and let go of each."""
    jobs.reverse()
    while jobs:
        yield jobs.pop()


def _refuse(name: str, count: int) -> None:
    """Raise `ConvcliError` for outputs that exist."""
    exist = "exists" if count == 1 else f"and {count - 1} more exist"
    raise ConvcliError(f"{shown(name)} {exist}; use --overwrite, --skip-existing, or another -o")


def _shard(text: str) -> tuple[int, int]:
    """Read --shard."""
    match = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", text)
    part, parts = map(int, match.groups()) if match else (0, 0)
    if not 1 <= part <= parts:
        raise ConvcliError(f"--shard must be I/N with I from 1 to N, such as 1/4, not {text!r}")
    return part, parts


def _names_folder(output: str | None) -> bool:
    return output is not None and output != "-" and (
        output.endswith(("/", os.sep)) or _is_folder(output)
    )  # fmt: skip


def _is_folder(name: str) -> bool:
    """Return whether a path is a folder of images, and no image that is stored as a folder."""
    return os.path.isdir(name) and not is_store(name)


def _check_parts(request: Request) -> None:
    """Raise `ConvcliError` where several images would have no names, or go to one output."""
    number = len(request.parts)
    if request.output == "-":
        raise ConvcliError(
            f"standard output takes one image, and there are {number}; name a folder with -o"
        )
    if request.files_from is None and request.inputs in ((), ("-",)):
        raise ConvcliError(
            f"standard input has no name for {number} outputs to begin with; name the image instead"
        )


def _check_folder(output: str, several: str) -> None:
    """Raise `ConvcliError` for an output that should be a folder and is or looks like a file."""
    if os.path.isdir(output):
        return
    is_named_folder = _names_folder(output)
    if os.path.lexists(output.rstrip(f"/{os.sep}")):
        needed = (
            "the slash at its end means one" if is_named_folder else f"several {several} need one"
        )
        raise ConvcliError(f"-o {shown(output)} is not a folder, but {needed}; choose another -o")
    if is_picture(Path(output)) and not is_named_folder:
        raise ConvcliError(
            f"several {several} need a folder, but -o {shown(output)} looks like a file; "
            f"for a folder of that name write {shown(output + '/')}"
        )


def _check_parents(target: Path) -> None:
    """Raise `ConvcliError` for an output below something that is not a folder."""
    there = next((folder for folder in target.parents if os.path.lexists(folder)), None)
    if there and not os.path.isdir(there):
        raise ConvcliError(f"-o {shown(target)}: {shown(there)} is not a folder; choose another -o")


def _piped(request: Request, format_name: str | None) -> Job:
    """Make the job of standard input; its output is standard output unless -o names a file."""
    if request.existing == "in place":
        raise ConvcliError("--in-place cannot replace standard input; name the inputs")
    if request.shard is not None:
        raise ConvcliError(
            "--shard divides several inputs, but standard input is one image; leave --shard out"
        )
    if request.output in (None, "-"):
        return Job(None, None, format_name)
    assert request.output is not None
    if _names_folder(request.output):
        raise ConvcliError(
            f"-o {shown(request.output)} is a folder, but standard input has no name to use in it; "
            "name a file with -o"
        )
    target = Path(request.output)
    _check_parents(target)
    named = _named_format(target, format_name)
    jobs = [Job(None, str(target), named, within=_real_parent(request.output))]
    _check_existing(jobs, request.existing)
    return jobs[0]


def _file_job(request: Request, found: Input, format_name: str | None, many: bool) -> Job:
    """Choose the output of a file, and its format."""
    if found.problem:
        return Job(found.source, None, None, found.problem)
    within = found.root
    found_in = None if within is None else real_folder(within)
    if request.output == "-":
        return Job(found.source, None, format_name)
    if is_url(request.output):
        return _url_job(request, found, format_name, many)
    if is_url(found.source) and request.output is None:
        problem = "is at a URL, and nothing is written beside it; name an output with -o"
        return Job(found.source, None, None, problem)
    if request.existing == "in place":  # the format of its content, not of its suffix
        into = found_in or _real_parent(found.source)
        return Job(found.source, found.source, None, found_in=found_in, within=into)
    source = Path(found.source)
    if request.output is None:
        suffix = suffix_of(format_name) if format_name else source.suffix
        target = source.with_name(f"{source.stem}{request.mark}{suffix}")
    elif many:
        within = request.output
        target = Path(request.output, found.relative)
        if format_name and _known_format(target) != format_name:
            target = target.with_suffix(suffix_of(format_name))
        if request.suffix:
            target = target.with_name(f"{target.stem}{request.suffix}{target.suffix}")
    else:
        if request.suffix:
            raise ConvcliError(
                "--suffix has no effect, because -o names a file; leave --suffix out"
            )
        target = Path(request.output)
        format_name = _named_format(target, format_name)
        _check_parents(target)
    problem = problem_of_name(str(target))
    into = _real_parent(str(target)) if within is None else real_folder(within)
    if within is not None:
        place = real_path(str(target))
        if not is_below(place, into):
            problem = leads_outside(within, place)
    final_format = format_name or _known_format(target)
    return Job(
        found.source, str(target), final_format, problem, parts=request.parts, found_in=found_in,
        within=into,
    )  # fmt: skip


def _url_job(request: Request, found: Input, format_name: str | None, many: bool) -> Job:
    """Make the job of a result that is written to a URL: zarr can be, part by part."""
    output = str(request.output)
    final_format = format_name or _known_format(Path(found.relative if many else output))
    name = Path(found.relative).with_suffix(".zarr").as_posix()
    target = f"{output.rstrip('/')}/{name}" if many else output
    problem = (
        ""
        if final_format == "ZARR"
        else "can be written to a URL only as zarr; name an output that ends in .zarr"
    )
    return Job(found.source, target, final_format, problem)


def _real_parent(name: str) -> str:
    """Return the folder that a file is in, without links; the files of a folder share it."""
    return sys.intern(os.path.dirname(real_path(name)))


def _named_format(target: Path, format_name: str | None) -> str:
    """Return the format of a named output: that of its suffix, which --format must not contradict.

    Raises
    ------
    ConvcliError
        If they contradict each other, or there is neither.
    """
    known = _known_format(target)
    if format_name and known and known != format_name:
        raise ConvcliError(
            f"the suffix of -o {shown(target)} means {spelt(known)}, but --format says "
            f"{spelt(format_name)}; change one of them"
        )
    if format_name:
        return format_name
    if not target.suffix:
        raise ConvcliError(
            f"{shown(target)} is neither a folder nor a known file type; for a new folder write "
            f"{shown(f'{target}/')}, for a file add a suffix such as .png or use --format"
        )
    try:
        return format_of(target)
    except ConvcliError as error:
        raise ConvcliError(f"{error}, or add --format") from None


def _known_format(path: Path) -> str | None:
    """Return the format of a suffix, or None: then the result has the format of its source."""
    return format_of(path) if is_picture(path) else None


def _exists(name: str) -> bool:
    """Return whether an output exists, also as ``new/../name`` before the folder `new` does."""
    return os.path.lexists(name) or os.path.lexists(real_path(name))


def _check_existing(jobs: list[Job], existing: Existing) -> None:
    """Raise `ConvcliError` for outputs that exist, or mark their jobs as skipped."""
    if existing in ("overwrite", "in place"):
        return
    found = [(job, there) for job in jobs if (there := [*filter(_exists, job.outputs)])]
    if found and existing == "refuse":
        names = [name for _, there in found for name in there]
        _refuse(names[0], len(names))
    for job, there in found:
        folder = next(filter(_is_folder, there), None)
        if folder:
            job.problem = f"its output {shown(folder)} is a folder; choose another -o"
        else:
            job.skip = len(there) == len(job.outputs) and (
                existing == "skip" or is_newer(there, job.source_name)
            )

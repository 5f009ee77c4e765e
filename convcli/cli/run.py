"""From the options of a filter to its exit status: jobs, batch, and what is said of them."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from convcli import image
from convcli.batch.ahead import begin
from convcli.cli.options import Shared
from convcli.cli.screen.notices import notices
from convcli.errors import ConvcliError, inert, shown
from convcli.files.formats import LOSSY
from convcli.files.job import Existing, Job, Request
from convcli.files.jobs import jobs_for
from convcli.image import Grey, Picture
from convcli.words import listed

# What needs numpy is imported when the first picture is being decoded.
if TYPE_CHECKING:
    from convcli.batch.attempt import Filter, Outcome
    from convcli.cli.screen.progress import Bar
    from convcli.types import Pixels

# What a batch ends with, whether or not there is any of it.
_ALWAYS = ("written", "failed", "skipped")

Verb = Callable[..., "Pixels"]
"""``verb(pixels, **options)``: one of `convcli.filtering.filters` with its own arguments bound."""


def run(shared: Shared, name: str, verb_for: Callable[[], Verb], grey: Grey | None = None) -> None:
    """Carry out a filter command and leave with its exit status.

    Everything that can be wrong with the request as a whole is found before anything is
    written. `verb_for` imports the filter, and refuses arguments that make no sense.
    """
    request = _request(shared, name)
    if request.files_from is None and request.inputs in ((), ("-",)) and sys.stdin.isatty():
        raise ConvcliError(
            f"no input; name a picture (convcli {name} photo.jpg) or pipe one in "
            f"('convcli {name} --help' says more)"
        )
    left_alone: list[str] = []
    if not shared.debug:
        # Decoders log what they raise, and thread pools that memory has run out: what nobody
        # handles would be printed.
        logging.getLogger().addHandler(logging.NullHandler())
    _check_options(shared)
    jobs = jobs_for(request, left_alone.append)
    _check_streams(shared, jobs)
    _check_encoding(shared, jobs)
    image.limit_pixels(shared.max_pixels)
    # A preview alone shows the colours that there were.
    luma = grey is not None and not shared.linear and shared.writes
    read = partial(image.read, grey=grey, luma=luma)
    begun = {} if shared.dry_run else _begun(jobs, read)

    from convcli.batch.attempt import Filter
    from convcli.cli.screen.preview import Preview
    from convcli.filtering.options import Options
    from convcli.pixels.borders import check_value
    from convcli.planning.methods import check_method, worker_count
    from convcli.running import packages

    check_method(shared.method)
    worker_count(shared.workers)
    check_value(shared.border_value)
    packages.check(shared.method)
    verb = verb_for()
    preview = Preview() if shared.preview else None
    write = partial(
        image.write,
        quality=shared.quality,
        png_level=shared.png_level,
        strip=shared.strip,
        overwrite=shared.overwrite or shared.in_place,
    )
    filter_ = Filter(
        verb=verb,
        options=Options(
            method=shared.method,
            border=shared.border,
            border_value=shared.border_value,
            alpha=shared.alpha,
            linear=shared.linear,
        ),
        read=read,
        write=write if shared.writes else None,
        begun=begun,
        look=preview.look if preview else None,
    )
    for note in () if shared.quiet else left_alone:
        _say(f"convcli: {note}")
    try:
        failed = _would_run(jobs, shared, name) if shared.dry_run else _run(jobs, filter_, shared)
        if preview:
            preview.draw()
    except BrokenPipeError:  # the reader went away, as `| head` does
        raise typer.Exit(141) from None
    raise typer.Exit(1 if failed else 0)


def _begun(
    jobs: list[Job], read: Callable[..., Picture]
) -> dict[Job, Callable[[], tuple[Picture, float]]]:
    """Begin with the first file: it is decoded while the rest of the program is imported."""
    for job in jobs:
        if job.source is not None and not (job.problem or job.skip):
            return {job: begin(partial(read, job.source, job.format))}
    return {}


def sigma_of(text: str) -> tuple[float, float]:
    """Read --sigma: one number, or two, along x and along y, with a comma between."""
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2):
        raise ConvcliError(f"--sigma must be a number, or two with a comma between, not {text!r}")
    return values[0], values[-1]


def _request(shared: Shared, name: str) -> Request:
    chosen: list[tuple[str, Existing]] = []
    if shared.overwrite:
        chosen.append(("--overwrite", "overwrite"))
    if shared.in_place:
        chosen.append(("--in-place", "in place"))
    if shared.skip_existing:
        chosen.append(("--skip-existing", "skip"))
    if {"in place", "skip"} == {word for _, word in chosen}:
        raise ConvcliError(
            "--in-place tells nobody which pictures were done, so --skip-existing cannot go on "
            "from there; write to another folder with -o, where it can"
        )
    if len(chosen) > 1:
        raise ConvcliError(f"{chosen[0][0]} and {chosen[1][0]} exclude each other")
    if not shared.writes:
        if chosen:
            raise ConvcliError(f"--preview writes nothing without -o; leave {chosen[0][0]} out")
        chosen.append(("--preview", "overwrite"))  # so that what exists is in nobody's way
    return Request(
        command=name,
        inputs=tuple(shared.inputs or ()),
        files_from=shared.files_from,
        null=shared.null,
        output=shared.output,
        format=shared.format,
        recursive=shared.recursive,
        existing=chosen[0][1] if chosen else "refuse",
        shard=shared.shard,
    )


def _check_options(shared: Shared) -> None:
    """Refuse options that would be without effect, so that nobody waits for one."""
    if shared.border_value != 0 and shared.border != "constant":
        raise ConvcliError("--border-value is the value of --border constant; add that")
    if shared.quiet and shared.verbose:
        raise ConvcliError("--quiet and --verbose exclude each other")
    if shared.dry_run and shared.explain:
        raise ConvcliError("--explain says what runs, and with --dry-run nothing does")
    if shared.dry_run and shared.preview:
        raise ConvcliError("--preview shows what was done, and with --dry-run nothing is")


def _check_encoding(shared: Shared, jobs: list[Job]) -> None:
    formats = {job.format for job in jobs if not job.problem}
    names = listed(tuple(sorted(map(str, formats)))) if formats else ""
    if shared.quality is not None and formats and not formats & {None, *LOSSY}:
        raise ConvcliError(f"--quality is for {listed(LOSSY)}; {names} loses nothing")
    if shared.png_level is not None and formats and not formats & {None, "PNG"}:
        raise ConvcliError(f"--png-level is for PNG; the output is {names}")


def _check_streams(shared: Shared, jobs: list[Job]) -> None:
    """Refuse pictures on a terminal, and two things on one standard output."""
    if shared.preview:
        _check_preview(shared, jobs)
    piped = shared.writes and any(job.target is None and not job.problem for job in jobs)
    if (piped or shared.json) and not sys.stdout:
        way = "name a file with -o" if piped else "leave --json out"
        raise ConvcliError(f"standard output is closed; {way}")
    if piped and not shared.dry_run:
        if shared.json:
            raise ConvcliError("--json and the picture cannot both go to standard output")
        if sys.stdout.isatty():
            raise ConvcliError("a picture is not written to a terminal; name a file with -o")


def _check_preview(shared: Shared, jobs: list[Job]) -> None:
    if not (sys.stdout and sys.stdout.isatty()):
        raise ConvcliError("--preview draws on a terminal, and standard output is none")
    if shared.json:
        raise ConvcliError("--json and --preview cannot both go to standard output")
    if len(jobs) != 1:
        raise ConvcliError(f"--preview shows one picture, and here are {len(jobs)}")


def _would_run(jobs: list[Job], shared: Shared, name: str) -> int:
    """Say what would be done, and return how many jobs cannot be."""
    for job in jobs:
        if shared.json:
            status = "failed" if job.problem else "skipped" if job.skip else "planned"
            _print_json(job, status, {"reason": job.problem} if job.problem else {})
        if job.problem:
            _say(f"convcli: {_name(job)}: {job.problem}")
        elif shared.json:
            continue
        elif job.skip:
            typer.echo(f"skip {_name(job)}: {_output(job)} exists")
        else:
            typer.echo(f"{name} {_name(job)} -> {_output(job)}")
    return sum(bool(job.problem) for job in jobs)


def _run(jobs: list[Job], filter_: Filter, shared: Shared) -> int:
    """Do the jobs, say what became of them, and return how many are not done."""
    from convcli.batch import run as batch

    counts = {"written": 0, "shown": 0, "failed": 0, "skipped": 0, "not tried": 0}
    end = ""

    def tell(outcome: Outcome) -> None:
        nonlocal end
        counts[outcome.status] += 1
        if outcome.status == "not tried":
            end = f": {outcome.reason}"
        bar.picture_done(outcome.megapixels)
        _report(outcome, shared, bar, alone=len(jobs) == 1)

    try:
        with _bar(jobs, shared) as bar, nullcontext() if shared.quiet else notices(bar.say):
            outcomes = batch.run(jobs, filter_, shared.workers, bar.regions_done)
            try:
                for outcome in outcomes:
                    tell(outcome)
            except (KeyboardInterrupt, SystemExit) as interrupt:
                end = ", then interrupted"
                with suppress(KeyboardInterrupt, SystemExit):
                    # It came here or there; what was finished meanwhile is told in both cases.
                    tell(outcomes.throw(interrupt))
                    for outcome in outcomes:
                        tell(outcome)
                raise
    finally:
        if not shared.quiet:
            _say_sum(jobs, counts, end)
    return counts["failed"] + counts["not tried"]


def _say_sum(jobs: list[Job], counts: dict[str, int], end: str) -> None:
    """Say how many pictures were done; of one that is alone, whether it was interrupted."""
    if len(jobs) != 1:
        shown_counts = [f"{n} {status}" for status, n in counts.items() if n or status in _ALWAYS]
        _say(", ".join(shown_counts) + end)
    elif end and not counts["written"]:
        written = "" if jobs[0].target is None else "; nothing was written"
        _say(f"convcli: interrupted{written}")


def _bar(jobs: list[Job], shared: Shared) -> Bar:
    from convcli.cli.screen.progress import Bar

    # JSON on the same terminal would be written into the bar.
    mixed = shared.json and sys.stdout.isatty()
    return Bar(len(jobs), enabled=sys.stderr.isatty() and not shared.quiet and not mixed)


def _report(outcome: Outcome, shared: Shared, bar: Bar, alone: bool) -> None:
    job, say = outcome.job, bar.say
    if shared.json:
        _print_json(job, outcome.status, _results(outcome))
    if outcome.status == "failed":
        say(f"convcli: {_name(job)}: {outcome.reason}")
        if shared.debug and outcome.error is not None:
            for line in "".join(traceback.format_exception(outcome.error)).splitlines():
                say(inert(line))
    if outcome.plan is not None and shared.explain:
        from convcli.cli.screen.explanation import explanation

        bar.show(partial(explanation, outcome, _name(job), shared.border))
    if shared.quiet:
        return
    for note in outcome.notes:
        say(f"convcli: {_name(job)}: note: {note}")
    piped = job.target is None
    if outcome.status == "written" and (shared.verbose or (alone and not piped)):
        width, height = outcome.result_size
        method = outcome.plan.method if outcome.plan else ""
        frames = f" and {outcome.frames - 1} more" if outcome.frames > 1 else ""
        say(
            f"wrote {_output(job)}: {width} x {height} {outcome.mode}{frames}, "
            f"{method}, {outcome.seconds:.2f} s"
        )
    if outcome.status == "skipped" and (shared.verbose or alone):
        say(f"skipped {_name(job)}: {_output(job)} exists")


def _print_json(job: Job, status: str, more: dict[str, Any]) -> None:
    """Print an object on one line."""
    import json

    names = {
        "input": _plain(job.source),
        "output": None if job.problem else _plain(job.target),
        "status": status,
    }
    typer.echo(json.dumps(names | more))


def _results(outcome: Outcome) -> dict[str, Any]:
    """Return what a script can use of an outcome."""
    if outcome.status in ("failed", "not tried"):
        return {"reason": outcome.reason}
    if outcome.status == "skipped":
        return {}
    return {
        "width": outcome.result_size[0],
        "height": outcome.result_size[1],
        "mode": outcome.mode,
        "frames": outcome.frames,
        "method": outcome.plan.method if outcome.plan else None,
        "form": outcome.plan.route.form if outcome.plan else None,
        "sums": outcome.plan.route.accumulator if outcome.plan else None,
        "seconds": round(outcome.seconds, 4),
        "notes": list(outcome.notes),
    }


def _plain(path: os.PathLike[str] | None) -> str:
    """Return a path, with lone surrogates for bytes that are no text, as Python names them."""
    return "-" if path is None else os.fsencode(path).decode("utf-8", "surrogateescape")


def _name(job: Job) -> str:
    return "standard input" if job.source is None else shown(job.source)


def _output(job: Job) -> str:
    return "standard output" if job.target is None else shown(job.target)


def _say(line: str) -> None:
    typer.echo(line, err=True)

"""From the options of a filter to its exit status: jobs, batch, and what is said of them."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from convcli import batch, image
from convcli.batch import Filter, Outcome
from convcli.cli.options import Shared
from convcli.errors import ConvcliError, inert, shown
from convcli.image import Picture
from convcli.jobs import Existing, Job, Request, jobs_for
from convcli.kernels import Kernel
from convcli.planning import plan_for
from convcli.types import Options, Pixels

if TYPE_CHECKING:
    from convcli.cli.progress import Bar

Verb = Callable[..., Pixels]
"""A function of `convcli.filters` with its own arguments bound: ``verb(pixels, **options)``."""


def run(
    shared: Shared, name: str, verb: Verb, kernels: Sequence[Kernel], edged: bool = False
) -> None:
    """Carry out a filter command and leave with its exit status.

    Everything that can be wrong with the request as a whole is found before the first
    picture is opened.
    """
    request = _request(shared, name)
    if not request.inputs and request.files_from is None and sys.stdin.isatty():
        raise ConvcliError(
            f"no input; name a picture (convcli {name} photo.jpg) or pipe one in "
            f"('convcli {name} --help' says more)"
        )
    # Refuses a method that is not installed, or fewer than one worker.
    plan_for((1, 1), "uint8", kernels, shared.method, shared.workers)
    jobs = jobs_for(request)
    _check_streams(shared, jobs)
    if shared.dry_run:
        _say_what_would_be_done(jobs, name)
        raise typer.Exit(1 if any(job.problem for job in jobs) else 0)
    image.limit_pixels(shared.max_pixels)
    what = Filter(
        apply=lambda picture, options: verb(picture.pixels, **options_for(picture, options)),
        options=Options(
            method=shared.method,
            border=shared.border,
            border_value=shared.border_value,
            alpha=shared.alpha,
            linear=shared.linear,
        ),
        edged=edged,
        quality=shared.quality,
        strip=shared.strip,
        overwrite=shared.overwrite or shared.in_place,
    )
    try:
        failed = _run(jobs, what, shared)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away, as `| head` does; flushing at exit must not say so again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(141) from None
    raise typer.Exit(1 if failed else 0)


def numbers(option: str, text: str, most: int) -> list[float]:
    """Read an option's numbers, separated by commas."""
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if not 1 <= len(values) <= most:
        raise ConvcliError(
            f"{option} must be a number{', or two with a comma between' if most == 2 else ''}, "
            f"not {inert(text)!r}"
        )
    return values


def options_for(picture: Picture, options: Options) -> Options:
    """Fit the options to a picture's mode: only LA and RGBA have an alpha."""
    if picture.mode not in ("LA", "RGBA"):
        options["alpha"] = "straight"
    if options.get("linear") and picture.mode in ("CMYK", "F"):
        raise ConvcliError(f"--linear decodes sRGB, and a picture of mode {picture.mode} has none")
    return options


def _request(shared: Shared, name: str) -> Request:
    chosen: list[tuple[str, Existing]] = []
    if shared.overwrite:
        chosen.append(("--overwrite", "overwrite"))
    if shared.in_place:
        chosen.append(("--in-place", "in place"))
    if shared.skip_existing:
        chosen.append(("--skip-existing", "skip"))
    if len(chosen) > 1:
        raise ConvcliError(f"{chosen[0][0]} and {chosen[1][0]} exclude each other")
    return Request(
        command=name,
        inputs=tuple(shared.inputs or ()),
        files_from=shared.files_from,
        null=shared.null,
        output=shared.output,
        format=shared.format,
        recursive=shared.recursive,
        existing=chosen[0][1] if chosen else "refuse",
    )


def _check_streams(shared: Shared, jobs: list[Job]) -> None:
    """Refuse pictures on a terminal, and two things on one standard output."""
    if any(job.target is None and not job.problem for job in jobs) and not shared.dry_run:
        if shared.json:
            raise ConvcliError("--json and the picture cannot both go to standard output")
        if sys.stdout.isatty():
            raise ConvcliError("a picture is not written to a terminal; name a file with -o")


def _say_what_would_be_done(jobs: list[Job], name: str) -> None:
    for job in jobs:
        if job.problem:
            _say(f"convcli: {_name(job)}: {job.problem}")
        elif job.skip:
            typer.echo(f"skip {_name(job)}: {_output(job)} exists")
        else:
            typer.echo(f"{name} {_name(job)} -> {_output(job)}")


def _run(jobs: list[Job], what: Filter, shared: Shared) -> int:
    """Do the jobs, say what became of them, and return how many failed."""
    counts = {"written": 0, "failed": 0, "skipped": 0}
    with _bar(jobs, shared) as bar:
        for outcome in batch.run(jobs, what, shared.workers, bar.regions_done):
            counts[outcome.status] += 1
            bar.picture_done(outcome.megapixels)
            _report(outcome, shared, alone=len(jobs) == 1)
    if len(jobs) > 1 and not shared.quiet:
        _say(", ".join(f"{count} {status}" for status, count in counts.items()))
    return counts["failed"]


def _bar(jobs: list[Job], shared: Shared) -> Bar:
    from convcli.cli.progress import Bar

    return Bar(len(jobs), enabled=sys.stderr.isatty() and not shared.quiet)


def _report(outcome: Outcome, shared: Shared, alone: bool) -> None:
    job = outcome.job
    if shared.json:
        import json

        typer.echo(json.dumps(_as_json(outcome)))
    if outcome.status == "failed":
        _say(f"convcli: {_name(job)}: {outcome.reason}")
        if shared.debug and outcome.error is not None:
            traceback.print_exception(outcome.error)
    if outcome.plan is not None and shared.explain:
        _say(f"{_name(job)}, {outcome.size[0]} x {outcome.size[1]}:\n{outcome.plan}")
    if shared.quiet:
        return
    for note in outcome.notes:
        _say(f"convcli: {_name(job)}: note: {note}")
    piped = job.target is None
    if outcome.status == "written" and (shared.verbose or (alone and not piped)):
        method = outcome.plan.method if outcome.plan else ""
        _say(
            f"wrote {_output(job)}: {outcome.size[0]} x {outcome.size[1]} {outcome.mode}, "
            f"{method}, {outcome.seconds:.2f} s"
        )
    if outcome.status == "skipped" and (shared.verbose or alone):
        _say(f"skipped {_name(job)}: {_output(job)} exists")


def _as_json(outcome: Outcome) -> dict[str, Any]:
    """Return the fields of an outcome that a script can use; undecodable names are escaped."""
    job = outcome.job
    fields: dict[str, Any] = {
        "input": _plain(job.source),
        "output": _plain(job.target),
        "status": outcome.status,
    }
    if outcome.status == "failed":
        fields["reason"] = outcome.reason
    if outcome.status == "written":
        fields |= {
            "width": outcome.size[0],
            "height": outcome.size[1],
            "mode": outcome.mode,
            "method": outcome.plan.method if outcome.plan else None,
            "seconds": round(outcome.seconds, 4),
            "notes": list(outcome.notes),
        }
    return fields


def _plain(path: os.PathLike[str] | None) -> str:
    return "-" if path is None else os.fsencode(path).decode("utf-8", "backslashreplace")


def _name(job: Job) -> str:
    return "standard input" if job.source is None else shown(job.source)


def _output(job: Job) -> str:
    return "standard output" if job.target is None else shown(job.target)


def _say(line: str) -> None:
    typer.echo(line, err=True)

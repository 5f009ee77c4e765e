"""From the options of a filter to its exit status: checks, jobs, and the run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from convcli import image
from convcli.batch.ahead import Begun, begin
from convcli.checks import count, positive
from convcli.cli import signals, started
from convcli.cli.options import Shared
from convcli.cli.pipeline import Maker, memory_of, pipeline_for
from convcli.cli.screen import lines
from convcli.cli.screen.notices import notices
from convcli.errors import ConvcliError
from convcli.files.formats import LOSSY, may_be_in_parts, spelt
from convcli.files.job import Existing, Job, Request
from convcli.files.jobs import jobs_for
from convcli.files.many import Jobs
from convcli.files.names import expanded
from convcli.image import Grey, Picture
from convcli.words import listed

# Modules that need numpy are imported while the first image is being decoded.
if TYPE_CHECKING:
    from convcli.batch.outcome import Outcome
    from convcli.batch.pipeline import Pipeline
    from convcli.cli.screen.preview import Preview
    from convcli.cli.screen.progress import Bar
    from convcli.image.headers import OnDecode, Stated


def run(
    shared: Shared,
    name: str,
    *makers: Maker,
    grey: Grey | None = None,
    has_later_grey: bool = False,
) -> None:
    """Carry out a filter command, and raise `typer.Exit` with its status.

    Whatever is wrong with the request as a whole is found before anything is written.

    Parameters
    ----------
    shared : Shared
        The options.
    name : str
        The command.
    *makers : callable
        The filters, in their order; see `Maker`.
    grey : {"L", "LA"}, optional
        What the first filter makes of colour, if it makes grey of it; see `convcli.image.read`.
    has_later_grey : bool
        A later one does, and so the colours must be such that there is a luminance.
    """
    # --preview shows the colours of the input as well, so that luma alone is not enough.
    luma = grey is not None and not shared.linear and shared.writes
    is_part = bool(shared.region or shared.mask)
    if grey and is_part:  # the rest keeps its colours
        grey, luma, has_later_grey = None, False, True
    read = partial(image.read, grey=grey, luma=luma, depth=shared.depth)
    if has_later_grey:
        read = partial(_with_luminance, read, _OF_A_PART if is_part else _OF_A_STAGE)
    how = shared, makers
    if shared.cluster is not None:
        from convcli.cli import clusters

        how = clusters.for_workers(shared, makers)
    carry_out(shared, name, read, partial(pipeline_for, *how, read))


def grey_of(shared: Shared) -> Grey:
    """Return what a filter of the luminance makes of an image."""
    return "LA" if shared.alpha == "keep" else "L"


_OF_A_STAGE = "a later stage such as edge; make that the first stage, or convert the image to RGB"
_OF_A_PART = "edges in a part of it; convert the image to RGB"


def _with_luminance(
    read: Callable[..., Picture], use: str, *arguments: Any, **options: Any
) -> Picture:
    """Read an image, and refuse it if its samples have no luminance."""
    picture = read(*arguments, **options)
    if picture.mode in ("CMYK", "LAB"):
        raise ConvcliError(f"has colours in {picture.mode}, which have no luminance for {use}")
    return picture


def carry_out(
    shared: Shared,
    name: str,
    read: Callable[..., Picture],
    make_pipeline: Callable[[Preview | None], Pipeline],
    parts: tuple[str, ...] = (),
) -> None:
    """Find the jobs of a command, run them, and raise `typer.Exit` with the status.

    Parameters
    ----------
    shared : Shared
        The options.
    name : str
        The command.
    read : callable
        How images are read; the first one is begun at once.
    make_pipeline : callable
        Returns what is done to each image, or refuses options.
    parts : tuple of str
        Names of the images that are made of each; see `convcli.files.job.Job`.
    """
    request = _request(shared, name, parts)
    if request.files_from is None and request.inputs in ((), ("-",)) and sys.stdin.isatty():
        raise ConvcliError(
            f"there is no input; name an image (convcli {name} photo.jpg) or pipe one in "
            f"(see 'convcli {name} --help')"
        )
    if not shared.debug:
        # Decoders log errors that they also raise, and thread pools that there is no memory
        # left. Without a handler, logging would print these messages.
        logging.getLogger().addHandler(logging.NullHandler())
    _check_options(shared)
    notes: list[str] = []
    jobs = jobs_for(request, lambda *note: notes.append(lines.note(*note)))
    _check_streams(shared, jobs)
    _check_encoding(shared, jobs)
    image.limit_pixels(shared.max_pixels)
    if shared.cluster is not None:
        from convcli.cli import clusters

        clusters.check(shared, jobs)
    alone = not shared.dry_run and shared.cluster is None
    begun = _begun(jobs, read, shared) if alone else {}

    preview = None
    if shared.preview:
        from convcli.cli.screen.preview import Preview

        preview = Preview()
    with started.loading():
        pipeline = make_pipeline(preview)
    for note in () if shared.quiet else notes:
        typer.echo(note, err=True)
    try:
        if shared.dry_run:
            from convcli.cli.screen.report import report_dry_run

            not_done = report_dry_run(jobs, shared, name)
        elif shared.cluster is not None:
            from convcli.cluster.connecting import connected
            from convcli.cluster.run import Run

            with connected(shared.cluster) as client:
                on_cluster = Run(jobs, client, make_pipeline, shared.max_pixels).outcomes
                not_done = _run(jobs, pipeline, shared, begun, on_cluster)
        else:
            not_done = _run(jobs, pipeline, shared, begun)
        if preview:
            preview.draw()
    except BrokenPipeError:  # the reader closed standard output, as `| head` does
        raise typer.Exit(141) from None
    raise typer.Exit(1 if not_done else 0)


def sigma_of(text: str) -> tuple[float, float]:
    """Parse --sigma: one number, or two numbers, along x and along y, separated by a comma."""
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2):
        raise ConvcliError(f"--sigma must be one number, or two separated by a comma, not {text!r}")
    return positive(values[0], "--sigma"), positive(values[-1], "--sigma")


def _request(shared: Shared, name: str, parts: tuple[str, ...]) -> Request:
    chosen: list[tuple[str, Existing]] = []
    if shared.overwrite:
        chosen.append(("--overwrite", "overwrite"))
    if shared.in_place:
        chosen.append(("--in-place", "in place"))
    if shared.skip_existing:
        chosen.append(("--skip-existing", "skip"))
    if shared.newer:
        chosen.append(("--newer", "newer"))
    if {"in place", "skip"} == {word for _, word in chosen}:
        raise ConvcliError(
            "--in-place and --skip-existing cannot be used together, because every output of "
            "--in-place exists; to be able to resume, write to another folder with -o"
        )
    if len(chosen) > 1:
        (one, _), (other, _) = chosen[:2]
        raise ConvcliError(f"{one} and {other} cannot be used together; leave one out")
    if not shared.writes:
        if chosen:
            raise ConvcliError(
                f"{chosen[0][0]} has no effect, because --preview without -o writes nothing; "
                "leave it out, or name an output with -o"
            )
        chosen.append(("--preview", "overwrite"))  # existing outputs do not matter
    return Request(
        command=name,
        inputs=tuple(expanded(shared.inputs or ())),
        files_from=shared.files_from,
        null=shared.null,
        output=shared.output,
        format=shared.format,
        recursive=shared.recursive,
        existing=chosen[0][1] if chosen else "refuse",
        shard=shared.shard,
        parts=parts,
        flat=shared.flat,
        base=shared.base,
        suffix=shared.suffix,
        exclude=tuple(shared.exclude or ()),
    )


def _check_options(shared: Shared) -> None:
    """Refuse options that would have no effect."""
    if shared.border_value != 0 and shared.border != "constant":
        raise ConvcliError("--border-value works only with --border constant; add that")
    memory_of(shared)
    if shared.nan == "keep" and shared.nodata is not None:
        raise ConvcliError(
            "--nan keep and --nodata cannot be used together: one keeps what the other leaves out; "
            "leave one out"
        )
    if shared.region or shared.channels is not None:
        from convcli.pixels import part

        for region in shared.region or ():
            part.rectangle(region, "--region")
        if shared.channels is not None:
            part.channel_names(shared.channels, "--channels")
    if shared.border_value != 0:
        from convcli.pixels.borders import checked_value  # imports numpy

        checked_value(shared.border_value, "--border-value")
    if shared.workers is not None:
        count(shared.workers, "--workers")
    if shared.quiet and shared.verbose:
        raise ConvcliError("--quiet and --verbose cannot be used together; leave one out")
    if shared.dry_run and shared.explain:
        raise ConvcliError(
            "--explain and --dry-run cannot be used together: --explain reports measured times, "
            "and --dry-run runs nothing"
        )
    if shared.dry_run and shared.preview:
        raise ConvcliError(
            "--preview and --dry-run cannot be used together: --preview shows the result, "
            "and --dry-run computes none"
        )


def _check_encoding(shared: Shared, jobs: Jobs) -> None:
    formats = (
        {job.format for job in jobs if not job.problem} if isinstance(jobs, list) else jobs.formats
    )
    names = listed(tuple(sorted(spelt(str(name)) for name in formats))) if formats else ""
    if shared.quality is not None and formats and not formats & {None, *LOSSY}:
        those = listed(tuple(map(spelt, LOSSY)))
        raise ConvcliError(f"--quality is for {those}; the output is {names}")
    if shared.png_level is not None and formats and not formats & {None, "PNG"}:
        raise ConvcliError(f"--png-level is for PNG; the output is {names}")


def _check_streams(shared: Shared, jobs: Jobs) -> None:
    """Refuse images on a terminal, and two outputs on one standard output."""
    if shared.preview:
        _check_preview(shared, jobs)
    is_short = isinstance(jobs, list)  # many are written to files
    piped = shared.writes and any(
        job.target is None and not job.problem for job in (jobs if is_short else ())
    )
    if (piped or shared.json) and not sys.stdout:
        way = "name a file with -o" if piped else "leave --json out"
        raise ConvcliError(f"standard output is closed; {way}")
    if piped and not shared.dry_run:
        if shared.json:
            raise ConvcliError(
                "--json and the image cannot both go to standard output; name a file with -o"
            )
        if sys.stdout.isatty():
            raise ConvcliError("images are not written to a terminal; name a file with -o")


def _check_preview(shared: Shared, jobs: Jobs) -> None:
    if not (sys.stdout and sys.stdout.isatty()):
        raise ConvcliError(
            "--preview needs a terminal, and standard output is not one; leave --preview out"
        )
    if shared.json:
        raise ConvcliError("--json and --preview cannot both go to standard output; leave one out")
    if len(jobs) != 1:
        raise ConvcliError(f"--preview shows one image, and there are {len(jobs)}; name one")


def _is_in_parts(job: Job, source: str, shared: Shared) -> bool:
    """Return whether an image may be too large to be read whole; then it is not begun."""
    may_be = may_be_in_parts(source, job.target_name, job.format)
    if shared.memory is None and not may_be:
        return False
    from convcli.planning.methods import worker_count
    from convcli.sources.choice import kind_for

    has_depth, most = shared.depth is not None, worker_count(shared.workers)
    try:
        return kind_for(job, memory_of(shared), most, has_depth) is not None
    except ConvcliError:  # which the job reports
        return True


def _read_if_it_fits(
    read: Callable[..., Picture],
    region: list[str],
    *arguments: Any,
    on_decode: OnDecode,
) -> Picture:
    """Read an image, unless its header says that regions reach beyond it."""
    from convcli.pixels import part

    def check(size: int, stated: Stated) -> None:
        part.check_either_way(partial(part.check_all_inside, region), stated.size, stated.may_turn)
        on_decode(size, stated)

    return read(*arguments, on_decode=check)


def _begun(jobs: Jobs, read: Callable[..., Picture], shared: Shared) -> dict[Job, Begun]:
    """Begin to read the first file, which is decoded while the rest of convcli is imported."""
    if shared.mask is not None or shared.channels is not None:
        return {}  # what it has to fit is not known yet
    if shared.region:
        read = partial(_read_if_it_fits, read, shared.region)
    for job in jobs:
        if job.source is not None and not (job.problem or job.skip):
            if _is_in_parts(job, str(job.source_name), shared):
                return {}
            return {job: begin(partial(read, job.source, job.format))}
    return {}


def _run(
    jobs: Jobs,
    pipeline: Pipeline,
    shared: Shared,
    begun: dict[Job, Begun],
    on_cluster: Callable[..., Iterator[Outcome]] | None = None,
) -> int:
    """Run the jobs, report their outcomes, and return how many are not done."""
    with started.loading():
        from convcli.batch import run as batch
        from convcli.cli.screen.report import Report
        from convcli.loops.compiled import machine_code

    bar = _bar(jobs, shared)
    report = Report(jobs, shared, bar)
    if shared.explain and pipeline.in_parts:
        pipeline = pipeline._replace(
            in_parts=pipeline.in_parts._replace(say=lambda text: bar.say(lines.note(text)))
        )
    with signals.deferred() as interrupted:
        try:
            said = nullcontext() if shared.quiet else notices(bar.say)
            with bar, said, machine_code.shown_while_compiling(bar.moving):
                here = partial(
                    batch.run, jobs, pipeline, shared.workers, bar.regions_done, begun=begun
                )
                there = on_cluster and partial(on_cluster, on_progress=bar.regions_done)
                for outcome in (there or here)(interrupted=interrupted):
                    report.add(outcome)
        finally:
            report.end(interrupted.is_set())
    return report.not_done


def _bar(jobs: Jobs, shared: Shared) -> Bar:
    from convcli.cli.screen.progress import Bar

    # JSON on the same terminal would be printed into the bar.
    mixed = shared.json and sys.stdout.isatty()
    return Bar(len(jobs), enabled=sys.stderr.isatty() and not shared.quiet and not mixed)

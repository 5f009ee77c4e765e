"""One image of a batch: it is read, filtered and written, and the outcome is described."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from convcli import image
from convcli.batch.ahead import Begun
from convcli.errors import ConvcliError, reason_of, shown
from convcli.files.formats import STREAMED, row_of
from convcli.files.job import Job
from convcli.files.walking import check_stays
from convcli.filtering.options import Options
from convcli.image import Picture
from convcli.image.costs import reading_cost, writing_cost
from convcli.image.picture import WITH_ALPHA, form_of, kind_of
from convcli.pixels.missing import count_missing
from convcli.pixels.transfer import SRGB
from convcli.planning.plan import Plan
from convcli.types import OnProgress, Pixels
from convcli.words import Alpha

if TYPE_CHECKING:
    from convcli.banks.plan import BankPlan
    from convcli.batch.planes import Planes
    from convcli.planning.chains import ChainPlan

Status = Literal["written", "shown", "failed", "skipped", "not tried"]

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors that the next image would meet as well: the disk or the quota is full, or read-only."""

# How many frames a stream is taken to have once it has more than one, or is a video: 4 seconds.
_MANY = 100

_LINEAR_ALREADY = "changed nothing for --linear: OpenEXR stores linear light"

# What may have sRGB code values, if it is integers.
_CODED = ("L", "LA", "RGB", "RGBA")

# The remark on an image whose reading began while the program started.
_AHEAD = "while the program was loaded"


class Several(NamedTuple):
    """The result of a filter that makes several images of one, and notes on it."""

    images: list[Pixels]
    notes: tuple[str, ...] = ()


class Stage(NamedTuple):
    """Seconds of reading, filtering or writing an image with all its frames, and a remark."""

    name: str
    predicted: float
    measured: float
    remark: str = ""


class Outcome(NamedTuple):
    """The outcome of a job.

    Attributes
    ----------
    job : Job
        The job.
    status : str
        "shown" if the image was filtered and not written; "not tried" if there was no room for
        its output.
    reason : str
        Why it failed or was not tried, in one line.
    error : BaseException or None
        The exception behind a failure.
    seconds : float
        Time from opening the input to closing the output.
    size, result_size : (int, int)
        Width and height of the image, and of the result.
    pixels : int
        Pixels that were filtered, of all frames together.
    mode : str
        The mode of the result.
    frames : int
        Frames or pages that were filtered.
    plan : Plan, ChainPlan, BankPlan or None
        The plan of the first frame.
    notes : tuple of str
        What was dropped or changed.
    stages : tuple of Stage
        The time of each stage.
    light : str
        The transfer function of linear light and what states it; empty without `linear`.
    left_out : int or None
        How many samples were missing, and so left out of every sum; None if that was not asked
        for.
    parts : tuple of (str, str)
        What there is to say of an image that was filtered in parts, each under a word.
    """

    job: Job
    status: Status
    reason: str = ""
    error: BaseException | None = None
    seconds: float = 0.0
    size: tuple[int, int] = (0, 0)
    result_size: tuple[int, int] = (0, 0)
    pixels: int = 0
    mode: str = ""
    frames: int = 1
    plan: Plan | ChainPlan | BankPlan | None = None
    notes: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    light: str = ""
    left_out: int | None = None
    parts: tuple[tuple[str, str], ...] = ()

    @property
    def megapixels(self) -> float:
        """Pixels that were filtered, in millions."""
        return self.pixels / 1e6


class Pipeline(NamedTuple):
    """What is done to each image.

    Attributes
    ----------
    verb : callable
        ``verb(pixels, **options)``: a function of `convcli.filtering.filters` with its own
        arguments bound, or one that returns `Several`. Those become the frames of the result, for
        a `write` that knows where each belongs.
    options : Options
        Options of every image; its mode and its frames add to them.
    read, write : callable
        `convcli.image.read` and `convcli.image.write` with their settings bound. Without
        `write`, only the first frame is filtered.
    look : callable, optional
        Called with the first frame before it is filtered, and again with the result.
    skip_existing : bool
        Whether an output that appears during the run is skipped, and not a failure.
    planes : callable, optional
        Returns how the filter goes over the planes of a video.
    in_parts : InParts, optional
        How images that do not fit into memory are filtered.
    remark : callable, optional
        ``remark(result, has_alpha)``: returns notes on the result of the first frame.
    """

    verb: Callable[..., Pixels | Several]
    options: Options
    read: Callable[..., Picture] = image.read
    write: Callable[..., tuple[str, ...]] | None = image.write
    look: Callable[[Picture], None] | None = None
    skip_existing: bool = False
    planes: Callable[[], Planes] | None = None
    in_parts: InParts | None = None
    remark: Callable[[Pixels, bool], tuple[str, ...]] | None = None


class InParts(NamedTuple):
    """How images are filtered that do not fit into memory; see `convcli.batch.windowed`.

    Attributes
    ----------
    memory : int or None
        Bytes that may be held; without it half of what is free.
    overwrite : bool
        Replace what has the name of an output.
    strip : bool
        Leave out metadata.
    is_grey : bool
        The filter makes grey of colour.
    mark : callable
        Returns what stands for the filter and its options: work of another mark does not go on.
    say : callable, optional
        Called with lines that tell how an image will be filtered, before it is.
    """

    memory: int | None = None
    overwrite: bool = False
    strip: bool = False
    is_grey: bool = False
    mark: Callable[[], str] = str
    say: Callable[[str], None] | None = None


def outcome_of(
    job: Job, pipeline: Pipeline, take: Callable[[int], None], begun: Begun | None = None
) -> Outcome:
    """Read, filter and write one image; any error becomes part of the outcome.

    Parameters
    ----------
    job : Job
        The files.
    pipeline : Pipeline
        What is done to the image.
    take : callable
        Called with the bytes that the image will take; may wait until they are free.
    begun : callable, optional
        Waits for the image, if its reading has begun.

    Raises
    ------
    BrokenPipeError
        If the reader of standard output has closed it: then the other jobs are of no use either.
    """
    start = time.perf_counter()
    if pipeline.skip_existing and has_appeared(job):
        return Outcome(job, "skipped")
    work = _Work(job, pipeline, begun)
    try:
        picture = work.read(take)
        height, width = picture.pixels.shape[:2]
        if pipeline.look:
            pipeline.look(picture)
        result = work.filtered(picture, 0)
        if result.frames == picture.frames:
            result = replace(result, later=work.later())
        del picture  # encoding needs its memory
        if pipeline.look:
            pipeline.look(result)
        notes = work.write(result) if pipeline.write else result.notes
    except BrokenPipeError:
        raise
    except _LocatedError as located:
        exists = isinstance(located.error, FileExistsError) and has_appeared(job)
        if pipeline.skip_existing and exists:
            return Outcome(job, "skipped")
        return Outcome(job, "failed", located.reason, located.error)
    except Exception as error:  # decoders raise exceptions of any type
        return Outcome(job, "failed", reason_of(error), error)
    finally:
        work.close()
    return Outcome(
        job,
        "written" if pipeline.write else "shown",
        seconds=time.perf_counter() - start,
        size=(width, height),
        result_size=(result.pixels.shape[1], result.pixels.shape[0]),
        pixels=work.pixels,
        mode=result.mode,
        frames=work.frames,
        plan=work.plans[0] if work.plans else None,
        notes=(*notes, *work.notes) if work.notes else notes,
        stages=work.stages(),
        light=work.light,
        left_out=sum(work.left_out.values()) if work.left_out else None,
    )


def has_appeared(job: Job) -> bool:
    """Whether the output of a job exists by now; a folder of that name is an error later."""
    name = job.target_name
    return name is not None and os.path.lexists(name) and not os.path.isdir(name)


class _LocatedError(Exception):
    """An error, and the words for where it occurred."""

    def __init__(self, where: str, error: Exception) -> None:
        super().__init__(where)
        self.reason = f"{where}: {reason_of(error)}"
        self.error = error


@contextmanager
def _located(where: str) -> Iterator[None]:
    """Add to an error where it occurred; the innermost place counts."""
    try:
        yield
    except (BrokenPipeError, _LocatedError):
        raise
    except Exception as error:
        raise _LocatedError(where, error) from error


class _Work:
    """The work on one image: its stages, their time, and the plans of its frames."""

    def __init__(self, job: Job, pipeline: Pipeline, begun: Begun | None) -> None:
        self.job, self.pipeline, self.begun = job, pipeline, begun
        self.clock = _Clock()
        self.predicted: dict[str, float] = {}
        self.plans: list[Plan | BankPlan] = []
        self.pixels, self.frames = 0, 1
        self.transfer, self.light = SRGB, ""
        self.following: Iterator[Picture] | None = None
        self.is_stream = False
        self.notes: tuple[str, ...] = ()
        self.left_out: dict[int, int] = {}  # samples of each frame

    def read(self, take: Callable[[int], None]) -> Picture:
        """Read the image, or wait for it if its reading has begun."""
        if self.begun:
            picture, self.clock.seconds["read"] = self.begun()
            take(2 * picture.pixels.nbytes)
        else:
            check_stays(self.job)
            source = self.job.source or sys.stdin.buffer
            with self.clock.at("read"):
                picture = self.pipeline.read(source, self.job.format, on_decode=take)
        self.following = iter(picture.later) if picture.later else None
        self.is_stream = picture.format in STREAMED
        if self.pipeline.write:
            self.frames = picture.frames
        self.predicted["read"] = reading_cost(picture.format, self.frames * picture.pixels.nbytes)
        return picture

    def filtered(self, frame: Picture, number: int) -> Picture:
        """Filter a frame; the first has number 0."""
        with self.clock.at("filter"):
            return self._filtered(frame, number, self.pipeline.options.get("workers"))

    def _filtered(self, frame: Picture, number: int, workers: int | None) -> Picture:
        """Filter a frame; frames after the first may be filtered in several threads at a time."""
        wanted = self.pipeline.options
        if frame.format == "EXR":  # linear light, multiplied by its alpha
            if wanted.get("linear"):
                frame = replace(frame, notes=(*frame.notes, _LINEAR_ALREADY))
            straight: Alpha = "keep" if wanted.get("alpha") == "keep" else "straight"
            wanted = Options(**{**wanted, "linear": False, "alpha": straight})
        options = fitted(wanted, frame.mode)
        options["workers"] = workers
        if options.get("linear"):
            self._decode(options, frame, number)
        self._leave_out(options, frame, number)
        options["on_plan"] = self.plans.append
        goes_on = frame.format == "Y4M" or (self.is_stream and number > 0)
        options["pictures"] *= max(self.frames, _MANY if goes_on else 1)
        if on_progress := options.get("on_progress"):
            options["on_progress"] = partial(_frame_progress, on_progress, number, self.frames)
        self.pixels += frame.pixels.shape[0] * frame.pixels.shape[1]
        if number == 0 and options.get("mask") is not None:
            from convcli.batch import part

            notes = part.note_on(options, self.job.format or frame.format)
            frame = replace(frame, notes=(*frame.notes, *notes))
        if frame.format == "Y4M":
            if not self.pipeline.planes:
                raise ConvcliError("is a video, which this command cannot filter")
            from convcli.batch import planes

            return planes.filtered(frame, self.pipeline.planes(), options)
        verb = self.pipeline.verb
        if kind_of(frame.mode).isdigit():
            from convcli.batch.planes import band_by_band

            verb = partial(band_by_band, verb)
        made = verb(frame.samples, **options)
        if isinstance(made, Several):
            return _divided(frame, made)
        result = frame.with_pixels(made)
        if number == 0 and self.pipeline.remark:
            notes = self.pipeline.remark(made, result.mode in WITH_ALPHA)
            result = replace(result, notes=(*result.notes, *notes))
        if self.frames > 1 and options["alpha"] != "weight":  # which gives them none that matter
            from convcli.image.animation import lost_colours

            lost = lost_colours(result, self.job.format or result.format)
            result = replace(result, notes=(*result.notes, *lost))
        return result

    def _decode(self, options: Options, frame: Picture, number: int) -> None:
        """Let the options decode light as the file states it: frames alike, each page by itself."""
        from convcli.image import light

        if number == 0 or frame.format == "TIFF":
            self.transfer, said_by = light.stated(frame.metadata)
            self.light = self.light or f"{self.transfer.name}, by {said_by or 'default'}"
        options["linear"] = self.transfer
        # Rounding in float32 shows where the inverse of a power is steep: up to a level near black.
        options["exact"] = options.get("exact", False) or not self.transfer.has_toe

    def _leave_out(self, options: Options, frame: Picture, number: int) -> None:
        """Let the options leave out missing samples, those that the file states as well."""
        if options.get("nan") == "keep":
            return
        by_file = options.get("nodata") is None and frame.nodata is not None
        if by_file:
            options["nodata"] = frame.nodata
        elif options.get("nodata") is None and options.get("nan") is None:
            return
        has_alpha = frame.mode in WITH_ALPHA and options["alpha"] != "straight"
        found = count_missing(frame.pixels, options.get("nodata"), has_alpha)
        self.left_out[number] = found
        if by_file and not found:
            options["nodata"] = None
        elif by_file:
            note = f"left out its no-data value, {frame.nodata:.10g}"
            self.notes = tuple(dict.fromkeys((*self.notes, note)))

    def later(self) -> Iterator[Picture]:
        """Read and filter the frames after the first, each when the encoder asks for it."""
        # How many images a pipe will give is not known.
        is_known = self.frames > 1 or not self.following
        if self.following and self._is_spread():
            yield from self._spread(is_known)
            return
        number = 1
        while not is_known or number < self.frames:
            where = f"in frame {number + 1} of {self.frames}"
            frame = self._next(number, where if is_known else f"in image {number + 1}")
            if frame is None:
                return
            number += 1
            yield frame
        self.close()  # Windows replaces no file that is open, as an input is that is its own output

    def _is_spread(self) -> bool:
        """Whether the frames are filtered several at a time: as many as there are workers."""
        options = self.pipeline.options
        return (
            self.is_stream
            and (options.get("workers") or 1) > 1
            and options.get("method") != "tiled"
        )

    def _spread(self, is_known: bool) -> Iterator[Picture]:
        """Filter several frames at a time, each in one thread."""
        from convcli.batch.frames import in_order

        assert self.following
        where = f"in frame {{}} of {self.frames}" if is_known else "in image {}"

        def work(frame: Picture, number: int) -> Picture:
            with _located(where.format(number + 1)):
                return self._filtered(frame, number, 1)

        workers = self.pipeline.options["workers"] or 1
        following, self.following = self.following, None
        results = in_order(following, work, 1, workers)
        number = 1
        while True:
            with self.clock.at("filter"), _located(where.format(number + 1)):
                try:
                    result = next(results)
                except StopIteration as end:
                    self.notes = end.value or ()
                    return
            number += 1
            self.frames = max(self.frames, number)
            yield result

    def _next(self, number: int, where: str) -> Picture | None:
        with _located(where):
            with self.clock.at("read"):
                try:
                    assert self.following
                    frame = next(self.following)
                except StopIteration as end:
                    self.notes += end.value or ()
                    return None
            self.frames = max(self.frames, number + 1)
            return self.filtered(frame, number)

    def write(self, result: Picture) -> tuple[str, ...]:
        """Write the result, and return the notes on it."""
        assert self.pipeline.write
        target = self.job.target
        format_name = self.job.format or result.format
        row_of(format_name)  # refuses one that is written in parts alone
        workers = self.pipeline.options["workers"] or 1
        self.predicted["write"] = writing_cost(
            format_name, result.frames * result.pixels.nbytes, workers
        )
        output = "to standard output" if target is None else shown(target)
        settings: dict[str, Any] = {"workers": workers}
        with _located(f"cannot write {output}"), self.clock.at("write"):
            if target is None:
                return self.pipeline.write(result, sys.stdout.buffer, format_name, **settings)
            settings["within"] = self.job.within or os.path.realpath(target.parent)
            return self.pipeline.write(result, target, format_name, **settings)

    def close(self) -> None:
        """Close the input, which stays open while frames are left unread."""
        if isinstance(self.following, Generator):
            self.following.close()

    def stages(self) -> tuple[Stage, ...]:
        """Return the predicted and the measured time of each stage."""
        self.predicted["filter"] = sum(plan.seconds for plan in self.plans)
        return tuple(
            Stage(
                name, self.predicted[name], seconds, _AHEAD if name == "read" and self.begun else ""
            )
            for name, seconds in self.clock.seconds.items()
            if name in self.predicted
        )


def _divided(picture: Picture, several: Several) -> Picture:
    """Return the images that were made of one as the frames of a picture."""
    notes = (*picture.notes, *several.notes)
    plain = replace(picture, encoding={}, notes=notes)  # other samples: compressed another way
    first, *others = [plain.with_pixels(pixels) for pixels in several.images]
    return replace(first, frames=1 + len(others), later=others)


def fitted(options: Options, mode: str) -> Options:
    """Return the options for an image of this mode: `alpha` only matters where there is one."""
    if options.get("linear") and not (
        kind_of(mode) in _CODED and form_of(mode)[1] in ("uint8", "uint16")
    ):
        raise ConvcliError(
            f"--linear decodes sRGB code values, and an image of mode {mode} has none; "
            "leave --linear out"
        )
    own = Options(**options)
    own["channels"] = True
    if isinstance(named := options.get("channels"), str):
        from convcli.batch import part

        own["channels"] = part.channels_of(named, mode)
    if mode not in WITH_ALPHA:
        own["alpha"] = "straight"
    return own


class _Clock:
    """Counts the seconds of each stage. A stage within another, as of frames, pauses that."""

    def __init__(self) -> None:
        self.seconds = {"read": 0.0, "filter": 0.0, "write": 0.0}
        self._inner = 0.0

    @contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Count the time of a block as this stage's."""
        before, self._inner = self._inner, 0.0
        start = time.perf_counter()
        try:
            yield
        finally:
            whole = time.perf_counter() - start
            self.seconds[stage] += whole - self._inner
            self._inner = before + whole


def _frame_progress(
    on_progress: OnProgress, number: int, frames: int, done: int, total: int
) -> None:
    """Report the progress of one of several frames as the progress of the whole image."""
    on_progress(number * total + done, frames * total)

"""One image of a batch: it is read, filtered and written."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from convcli.batch import fitting
from convcli.batch.ahead import Begun
from convcli.batch.clock import Clock
from convcli.batch.outcome import Outcome, Timing
from convcli.batch.pipeline import Pipeline, Several
from convcli.errors import ConvcliError, reason_of, shown
from convcli.files.formats import STREAMED, row_of
from convcli.files.job import Job
from convcli.files.walking import check_stays
from convcli.filtering.options import Options
from convcli.image import Picture
from convcli.image.costs import reading_cost, writing_cost
from convcli.image.headers import Stated
from convcli.image.picture import WITH_ALPHA, kind_of
from convcli.pixels.transfer import SRGB
from convcli.planning.plan import Plan
from convcli.pools import has_room
from convcli.types import OnProgress
from convcli.words import Alpha

if TYPE_CHECKING:
    from convcli.banks.plan import BankPlan
    from convcli.batch.growing import Growing
    from convcli.planning.chains import ChainPlan

# How many frames a stream is taken to have once it has more than one, or is a video: 4 seconds.
_MANY = 100

# Results that are written while they are computed: of formats whose samples are written as they
# are, and of at least so many bytes. Of 72 MB the disk takes as long as the filter.
_BY_ROWS = ("PPM", "PAM")
_LEAST_BY_ROWS = 1 << 24

_LINEAR_ALREADY = "ignored --linear, because OpenEXR stores linear light"

# The remark on an image whose reading began while the program started.
_AHEAD = "while the program was loaded"


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
        notes = work.write_grown(result) if pipeline.write else result.notes
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
        seconds=time.perf_counter() - start + work.ahead,
        size=(width, height),
        result_size=(result.pixels.shape[1], result.pixels.shape[0]),
        pixels=work.pixels,
        mode=result.mode,
        frames=work.frames,
        plan=work.plans[0] if work.plans else None,
        notes=(*notes, *work.notes) if work.notes else notes,
        timings=work.timings(),
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
    """The work on one image: the time of each step, and the plans of its frames."""

    def __init__(self, job: Job, pipeline: Pipeline, begun: Begun | None) -> None:
        self.job, self.pipeline, self.begun = job, pipeline, begun
        self.clock = Clock()
        self.predicted: dict[str, float] = {}
        self.plans: list[Plan | ChainPlan | BankPlan] = []
        self.pixels, self.frames = 0, 1
        self.ahead = 0.0  # seconds of reading before the work began
        self.transfer, self.light = SRGB, ""
        self.following: Iterator[Picture] | None = None
        self.is_stream = False
        self.notes: tuple[str, ...] = ()
        self.left_out: dict[int, int] = {}  # samples of each frame
        self.growing: Growing | None = None

    def read(self, take: Callable[[int], None]) -> Picture:
        """Read the image, or wait for it if its reading has begun."""
        if self.begun:
            start = time.perf_counter()
            picture, seconds = self.begun()
            self.clock.seconds["read"] = seconds
            self.ahead = max(seconds - (time.perf_counter() - start), 0.0)
            take(2 * picture.pixels.nbytes)
        else:
            check_stays(self.job)
            source = self.job.source or sys.stdin.buffer

            def on_decode(size: int, stated: Stated) -> None:
                self._check_part(stated)
                take(size)

            with self.clock.at("read"):
                picture = self.pipeline.read(source, self.job.format, on_decode=on_decode)
        self.following = iter(picture.later) if picture.later else None
        self.is_stream = picture.format in STREAMED
        if self.pipeline.write:
            self.frames = picture.frames
        self.predicted["read"] = reading_cost(
            picture.format, self.frames * picture.pixels.nbytes, _is_grey(picture)
        )
        return picture

    def _check_part(self, stated: Stated) -> None:
        """Refuse an image that the part to be filtered does not fit, before it is decoded."""
        options = self.pipeline.options
        keys: tuple[Literal["region", "mask", "channels"], ...] = ("region", "mask", "channels")
        if any(options.get(key) is not None for key in keys):
            from convcli.batch import part

            part.check_fits(options, stated)

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
        options = fitting.fitted(wanted, frame.mode)
        options["workers"] = workers
        if options.get("linear"):
            if number == 0 or frame.format == "TIFF":  # whose pages state it each by itself
                self.transfer, words = fitting.light_of(frame.metadata)
                self.light = self.light or words
            fitting.decode(options, self.transfer)
        if missing := fitting.missing_of(options, frame.nodata, frame.mode):
            self.left_out[number] = found = missing.count(frame.pixels)
            notes = missing.leave_out(options, found > 0)
            self.notes = tuple(dict.fromkeys((*self.notes, *notes)))
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
                raise ConvcliError(
                    "is a video, which this command cannot filter; extract its frames first"
                )
            from convcli.batch import planes

            return planes.filtered(frame, self.pipeline.planes(), options)
        verb = self.pipeline.verb
        if kind_of(frame.mode).isdigit():
            from convcli.batch.planes import band_by_band

            verb = partial(band_by_band, verb)
        is_plain = verb is self.pipeline.verb and self._is_by_rows(frame)
        is_spread = workers is not None and workers > 1
        if is_plain and is_spread and has_room(2 * frame.samples.nbytes):
            from convcli.batch.growing import Growing  # most images are written whole

            compute = partial(verb, frame.samples, **options)
            self.growing = Growing(compute, partial(self.clock.at, "filter"))
            made, is_final = self.growing.begun()
            if not is_final:
                return replace(frame.with_pixels(made), bands=self.growing.bands)
        else:
            made = verb(frame.samples, **options)
        if isinstance(made, Several):
            return _divided(frame, made)
        result = frame.with_pixels(made)
        if frame.nodata is not None:
            from convcli.image import nodata

            result = nodata.at_depth(result, frame.pixels.dtype)
        if number == 0 and self.pipeline.remark:
            notes = self.pipeline.remark(made, result.mode in WITH_ALPHA)
            result = replace(result, notes=(*result.notes, *notes))
        if self.frames > 1 and options["alpha"] != "weight":  # which gives them none that matter
            from convcli.image.animation import lost_colours

            lost = lost_colours(result, self.job.format or result.format)
            result = replace(result, notes=(*result.notes, *lost))
        return result

    def _is_by_rows(self, frame: Picture) -> bool:
        """Whether the result can be written while it is computed."""
        pipeline, job = self.pipeline, self.job
        is_alone = self.frames == 1 and not self.following and frame.nodata is None
        is_file = job.target is not None and pipeline.write is not None and not pipeline.look
        is_large = frame.samples.nbytes >= _LEAST_BY_ROWS
        fits = (job.format or frame.format) in _BY_ROWS
        return pipeline.by_rows and is_alone and is_file and is_large and fits

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
                    self.notes += end.value or ()
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
            format_name, result.frames * result.pixels.nbytes, workers, _is_grey(result)
        )
        output = "to standard output" if target is None else shown(target)
        settings: dict[str, Any] = {"workers": workers}
        with _located(f"cannot write {output}"), self.clock.at("write"):
            if target is None:
                return self.pipeline.write(result, sys.stdout.buffer, format_name, **settings)
            settings["within"] = self.job.within or os.path.realpath(target.parent)
            return self.pipeline.write(result, target, format_name, **settings)

    def write_grown(self, result: Picture) -> tuple[str, ...]:
        """Write a result that may still be computed, and add the remark on it."""
        try:
            notes = self.write(result)
        except Exception:
            error = self.growing and self.growing.error()
            if error:
                raise error from None
            raise
        if result.bands and self.pipeline.remark:
            notes += self.pipeline.remark(result.pixels, result.mode in WITH_ALPHA)
        return notes

    def close(self) -> None:
        """Close the input, which stays open while frames are left unread; end what is at work."""
        if self.growing:
            self.growing.close()
        if isinstance(self.following, Generator):
            self.following.close()

    def timings(self) -> tuple[Timing, ...]:
        """Return the predicted and the measured time of each step."""
        self.predicted["filter"] = sum(plan.seconds for plan in self.plans)
        return tuple(
            Timing(
                name, self.predicted[name], seconds, _AHEAD if name == "read" and self.begun else ""
            )
            for name, seconds in self.clock.seconds.items()
            if name in self.predicted
        )


def _is_grey(picture: Picture) -> bool:
    return picture.pixels.ndim == 2 or picture.pixels.shape[2] < 3


def _divided(picture: Picture, several: Several) -> Picture:
    """Return the images that were made of one as the frames of a picture."""
    notes = (*picture.notes, *several.notes)
    plain = replace(picture, encoding={}, notes=notes)  # other samples: compressed another way
    first, *others = [plain.with_pixels(pixels) for pixels in several.images]
    return replace(first, frames=1 + len(others), later=others)


def _frame_progress(
    on_progress: OnProgress, number: int, frames: int, done: int, total: int
) -> None:
    """Report the progress of one of several frames as the progress of the whole image."""
    on_progress(number * total + done, frames * total)

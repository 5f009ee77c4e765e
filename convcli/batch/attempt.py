"""One picture of a batch: read, filtered and written, and what became of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, NamedTuple

from convcli import image
from convcli.errors import ConvcliError, reason_of, shown
from convcli.files.job import Job
from convcli.filtering.options import Options
from convcli.image import Picture
from convcli.image.costs import reading_cost, writing_cost
from convcli.image.picture import WITH_ALPHA
from convcli.planning.plan import Plan
from convcli.types import OnProgress, Pixels

Status = Literal["written", "shown", "failed", "skipped", "not tried"]

# Of a picture whose reading was begun while the program started.
_AHEAD = "while the program was loaded"


class Stage(NamedTuple):
    """Reading, filtering or writing a picture with all its frames: seconds, and a remark."""

    name: str
    predicted: float
    measured: float
    remark: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    `megapixels` and `plan` are those of a picture that was filtered, `size` is its width and
    height and `result_size` those of the result; `error` is the exception of one that failed,
    and `reason` its one line, or why it was not tried.
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
    plan: Plan | None = None
    notes: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()

    @property
    def megapixels(self) -> float:
        """Size of the picture that was filtered, all frames together."""
        return self.pixels / 1e6


@dataclass(frozen=True)
class Filter:
    """What is done to each picture.

    Attributes
    ----------
    verb : callable
        ``verb(pixels, **options)``: one of `convcli.filtering.filters` with its own arguments
        bound.
    options : Options
        What every picture's options begin with.
    read, write : callable
        `convcli.image.read` and `convcli.image.write` with what is asked for bound. Without
        `write` no more than the first frame is filtered.
    begun : dict
        Pictures whose reading has begun, by their jobs: what waits for each and returns it.
    look : callable, optional
        Shown the first frame of a picture as it was read, then as it was filtered.
    """

    verb: Callable[..., Pixels]
    options: Options
    read: Callable[..., Picture] = image.read
    write: Callable[..., tuple[str, ...]] | None = image.write
    begun: dict[Job, Callable[[], tuple[Picture, float]]] = field(default_factory=dict)
    look: Callable[[Picture], None] | None = None


def outcome_of(job: Job, filter_: Filter, options: Options, take: Callable[[int], None]) -> Outcome:
    """Read, filter and write one picture; whatever goes wrong is that picture's outcome.

    `take` is called with the bytes that the picture will take, and may wait for them.
    """
    start = time.perf_counter()
    work = _Work(job, filter_, options)
    try:
        picture = work.read(take)
        height, width = picture.pixels.shape[:2]
        if filter_.look:
            filter_.look(picture)
        result = replace(work.filtered(picture, 0), later=work.later())
        del picture  # encoding needs its memory
        if filter_.look:
            filter_.look(result)
        notes = work.write(result) if filter_.write else result.notes
    except BrokenPipeError:
        raise  # nobody reads standard output any more, and nothing else is of use
    except Exception as error:  # decoders raise what they like; one bad file is one outcome
        return Outcome(job, "failed", work.doing + reason_of(error), error)
    finally:
        work.close()
    return Outcome(
        job,
        "written" if filter_.write else "shown",
        seconds=time.perf_counter() - start,
        size=(width, height),
        result_size=(result.pixels.shape[1], result.pixels.shape[0]),
        pixels=work.pixels,
        mode=result.mode,
        frames=work.frames,
        plan=work.plans[0] if work.plans else None,
        notes=notes,
        stages=work.stages(),
    )


class _Work:
    """A picture at work: how far it is, how long that took, and what was planned."""

    def __init__(self, job: Job, filter_: Filter, options: Options) -> None:
        self.job, self.filter_, self.options = job, filter_, options
        self.clock = _Clock()
        self.predicted: dict[str, float] = {}
        self.plans: list[Plan] = []
        self.pixels, self.frames = 0, 1
        self.doing = ""  # with which the reason begins, should it fail
        self.is_ahead = job in filter_.begun
        self.following: Iterator[Picture] = iter(())

    def read(self, take: Callable[[int], None]) -> Picture:
        """Read the picture, or wait for it, if that was begun."""
        if self.is_ahead:
            picture, self.clock.seconds["read"] = self.filter_.begun.pop(self.job)()
            take(2 * picture.pixels.nbytes)
        else:
            source = self.job.source or sys.stdin.buffer.read()
            with self.clock.at("read"):
                picture = self.filter_.read(source, self.job.format, on_decode=take)
        self.following = iter(picture.later)
        if self.filter_.write:
            self.frames = picture.frames
        self.predicted["read"] = reading_cost(picture.format, self.frames * picture.pixels.nbytes)
        return picture

    def filtered(self, frame: Picture, number: int) -> Picture:
        """Filter a frame, the first of which has number 0."""
        options = fitted(self.options, frame.mode)
        options["on_plan"] = self.plans.append
        options["pictures"] = self.options["pictures"] * self.frames
        if on_progress := self.options.get("on_progress"):
            options["on_progress"] = partial(_part_done, on_progress, number, self.frames)
        self.pixels += frame.pixels.shape[0] * frame.pixels.shape[1]
        with self.clock.at("filter"):
            return frame.with_pixels(self.filter_.verb(frame.samples, **options))

    def later(self) -> Iterator[Picture]:
        """Filter the frames after the first, while what was written of them is encoded."""
        writing = self.doing
        for number in range(1, self.frames):
            self.doing = f"in frame {number + 1} of {self.frames}: "
            with self.clock.at("read"):
                frame = next(self.following)
            yield self.filtered(frame, number)
            self.doing = writing

    def write(self, result: Picture) -> tuple[str, ...]:
        """Write the result, and return the notes on it."""
        assert self.filter_.write
        target = self.job.target
        output = "to standard output" if target is None else shown(target)
        self.doing = f"cannot write {output}: "
        format_name = self.job.format or result.format
        workers = self.options["workers"] or 1
        self.predicted["write"] = writing_cost(
            format_name, self.frames * result.pixels.nbytes, workers
        )
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
        with self.clock.at("write"):
            return self.filter_.write(
                result, target or sys.stdout.buffer, format_name, workers=workers
            )

    def close(self) -> None:
        """Close the file, which frames that nobody asked for would keep open."""
        if isinstance(self.following, Generator):
            self.following.close()

    def stages(self) -> tuple[Stage, ...]:
        """Return what each stage was predicted to take, and took."""
        self.predicted["filter"] = sum(plan.seconds for plan in self.plans)
        return tuple(
            Stage(
                name,
                self.predicted[name],
                seconds,
                _AHEAD if name == "read" and self.is_ahead else "",
            )
            for name, seconds in self.clock.seconds.items()
            if name in self.predicted
        )


def fitted(options: Options, mode: str) -> Options:
    """Return the options as they fit a picture's mode: not every one has an alpha."""
    if options.get("linear") and mode in ("CMYK", "LAB", "I", "F"):
        raise ConvcliError(f"--linear decodes sRGB, and a picture of mode {mode} has none")
    own = Options(**options)
    if mode not in WITH_ALPHA:
        own["alpha"] = "straight"
    return own


class _Clock:
    """Counts the seconds of each stage; one inside of another, as frames have it, stops that."""

    def __init__(self) -> None:
        self.seconds = {"read": 0.0, "filter": 0.0, "write": 0.0}
        self._inner = 0.0

    @contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Count what is done inside as this stage's."""
        before, self._inner = self._inner, 0.0
        start = time.perf_counter()
        try:
            yield
        finally:
            whole = time.perf_counter() - start
            self.seconds[stage] += whole - self._inner
            self._inner = before + whole


def _part_done(on_progress: OnProgress, number: int, frames: int, done: int, total: int) -> None:
    """Pass on how far one of several frames is, as if they were one picture."""
    on_progress(number * total + done, frames * total)

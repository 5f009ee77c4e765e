"""An image that does not fit into memory: it is read, filtered and written in parts."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, cast

from convcli import memory
from convcli.batch import dark, fitting
from convcli.batch.attempt import has_appeared
from convcli.batch.attempt import outcome_of as outcome_of_whole
from convcli.batch.outcome import NO_ROOM, Outcome, Timing
from convcli.batch.pipeline import InParts, Pipeline
from convcli.errors import ConvcliError, NeedsWholeError, reason_of, shown
from convcli.files.job import Job
from convcli.files.places import is_below
from convcli.files.stores import METADATA
from convcli.files.urls import is_url
from convcli.files.walking import check_stays
from convcli.filtering.filters import blur
from convcli.filtering.options import Options
from convcli.image.picture import WITH_ALPHA, as_floats, kind_of, mode_of
from convcli.loops.compiled import apart
from convcli.planning.chains import ChainPlan
from convcli.planning.plan import Plan
from convcli.running.banded import by_bands
from convcli.running.chains import Chain
from convcli.running.recipe import Recipe
from convcli.running.regional import Regional
from convcli.running.windowed import Cut, cut_for
from convcli.running.windowed import bands as bands_of
from convcli.running.works import Work, work_of
from convcli.sources.choice import kind_for, may_be_whole, place_of
from convcli.sources.contract import Given, Put, Region, Result, Settings, Stored, load
from convcli.sources.windows import Tiles
from convcli.types import Pixels
from convcli.words import size_of

# The Gaussian before a step of 2 that scikit-image's pyramid_reduce takes: twice the step over 6,
# so that 99 % of its weights lie within the step.
_HALVING = 2 * 2 / 6

# Bytes of the packages that are imported for a kind after the program was measured: zarr 3.1 and
# numcodecs 15 MB, tifffile 3 MB.
_PACKAGES = {"ZARR": 16 << 20, "TIFF": 4 << 20}

# Tiles of a whole image in which one sample is missing or extreme are summed in another way: not
# only what the kernel reaches from there, but hundreds of rows, and more than 1,000 columns.
_OTHERWISE = (
    "filtered in bands of fewer rows than usual, to stay within --memory: in the tiles around "
    "missing or extreme samples the last digit may differ"
)


def outcome_of(job: Job, pipeline: Pipeline, take: Callable[[int], None]) -> Outcome:
    """Filter an image in parts if it does not fit into memory, and whole if it does.

    The parameters are those of `convcli.batch.attempt.outcome_of`; the pipeline has `in_parts`.
    """
    assert pipeline.in_parts
    start = time.perf_counter()
    if pipeline.skip_existing and has_appeared(job):
        return Outcome(job, "skipped")
    try:
        workers, has_depth = pipeline.options["workers"] or 1, pipeline.in_parts.depth is not None
        kind = kind_for(job, pipeline.in_parts.memory, workers, has_depth)
        if kind is None:
            return outcome_of_whole(job, pipeline, take)
        check_stays(job)
        with apart.wanted(pipeline.in_parts.memory is not None):
            outcome = _Work(job, pipeline, pipeline.in_parts, take).done(kind)
        return outcome._replace(seconds=time.perf_counter() - start)
    except BrokenPipeError:
        raise
    except NeedsWholeError as error:
        # It may take more than half of what is free.
        if may_be_whole(job, pipeline.in_parts.memory, pipeline.in_parts.depth is not None):
            return outcome_of_whole(job, pipeline, take)
        return Outcome(job, "failed", reason_of(error), error)
    except Exception as error:  # decoders raise exceptions of any type
        is_there = has_appeared(job) or is_url(job.target_name)
        if pipeline.skip_existing and isinstance(error, FileExistsError) and is_there:
            return Outcome(job, "skipped")
        reason = reason_of(error)
        if isinstance(error, FileExistsError):
            reason = f"its output {shown(job.target_name or '')} exists; use --overwrite"
        elif isinstance(error, OSError) and error.errno in NO_ROOM:
            reason = f"cannot write {shown(job.target_name or '')}: {reason}"
        return Outcome(job, "failed", reason, error)


class _Work:
    """The work on one file: its images are filtered in turn while the result is written."""

    def __init__(
        self, job: Job, pipeline: Pipeline, how: InParts, take: Callable[[int], None]
    ) -> None:
        self.job, self.pipeline, self.how, self.take = job, pipeline, how, take
        self.most, self.held, self._packages = math.inf, 0, 0
        self.plan: Plan | ChainPlan | None = None
        self.cut: Cut | None = None
        self.given: Given | None = None
        self.size, self.result_size, self.pixels, self.mode = (0, 0), (0, 0), 0, ""
        self.notes: tuple[str, ...] = ()
        self.left_out: list[dict[tuple[int, int], int]] = []
        self.tiles, self.decoded, self.regions, self.missed = 0, 0, 0, 0
        self.light = ""
        self.sample: dark.Sample | None = None

    def done(self, kind: str) -> Outcome:
        """Do it, and return the outcome."""
        source, target = place_of(self.job.source_name), place_of(self.job.target_name)
        assert source
        assert target
        within = self.job.within
        if isinstance(source, Path) and isinstance(target, Path):
            own, place = os.path.realpath(source), os.path.realpath(target)
            is_inside = os.path.isdir(own) and is_below(place, own)
            within = within or os.path.dirname(place)
        else:
            is_inside = f"{target}/".startswith(f"{source}/")
        if is_inside:
            raise ConvcliError(f"its output {shown(target)} is inside it; choose another -o")
        start = time.perf_counter()
        self._packages = sum(_PACKAGES.get(each, 0) for each in {kind, self.job.format or kind})
        writer = load(self.job.format or kind)
        with load(kind).opened(source, self.how.is_grey) as given:
            if self.how.depth == "float32":
                given = replace(given, mode=as_floats(given.mode))
            self.given = given
            options = self._options(given)
            settings = Settings(
                overwrite=self.how.overwrite,
                strip=self.how.strip,
                workers=options["workers"] or 1,
                within=within,
                mark=_mark(self.how.mark(), source, target),
                goes_on=self.pipeline.skip_existing,
                halve=partial(self._halved, options=options),
                elsewhere=self._elsewhere if self.how.elsewhere else None,
            )
            gathered = writer.rows_gathered(given)
            again = partial(image_at, kind, source, self.how.is_grey)
            results = (
                self._result(
                    replace(each, again=each.again or partial(again, number)), options, gathered
                )
                for number, each in enumerate(given.images)
            )
            notes = writer.save(target, given, results, settings)
        seconds = time.perf_counter() - start
        assert self.plan
        if self.sample and self.pipeline.remark:
            self.notes += self.pipeline.remark(self.sample.pixels, self.mode in WITH_ALPHA)
        predicted = self.plan.seconds * given.count
        return Outcome(
            self.job, "written", size=self.size, result_size=self.result_size, pixels=self.pixels,
            mode=self.mode, frames=given.count, plan=self.plan,
            notes=(*given.notes, *notes, *self.notes), light=self.light, parts=self._parts(),
            left_out=self._left_out(),
            timings=(Timing("all", predicted, seconds, "filtering is predicted, codecs are not"),),
        )  # fmt: skip

    def _options(self, given: Given) -> Options:
        options = fitting.fitted(self.pipeline.options, given.mode)
        if options.get("linear"):
            transfer, self.light = fitting.light_of({"icc_profile": given.profile})
            fitting.decode(options, transfer)
        options["pictures"] *= given.count
        return options

    def _result(self, stored: Stored, options: Options, gathered: int) -> Result:
        """Plan the work on an image; it is done when the bands of the result are asked for."""
        self.size = stored.shape[1], stored.shape[0]
        self.pixels += stored.shape[0] * stored.shape[1]
        self.notes = tuple(dict.fromkeys((*self.notes, *stored.notes)))
        stored, options, missing = self._leaving_out(stored, options)
        if options.get("mask") is not None:
            from convcli.batch import part

            note = part.note_on(options, self.job.format or "TIFF")
            self.notes = tuple(dict.fromkeys((*self.notes, *note)))
        result = self._planned(self.pipeline.verb, stored, options, gathered, missing)
        self.result_size = result.shape[1], result.shape[0]
        self.mode = mode_of(result.shape[2], result.dtype.name, like=self._given_mode)
        if self.sample or not self.pipeline.remark:
            return result
        self.sample = dark.Sample()  # of the first image, as of the first frame
        return self.sample.of(result)

    def _leaving_out(
        self, stored: Stored, options: Options
    ) -> tuple[Stored, Options, fitting.Missing | None]:
        """Leave out missing samples, those that the file states as well, and count them."""
        missing = fitting.missing_of(
            options, self.given.nodata if self.given else None, self._given_mode
        )
        if missing is None:
            return stored, options, None
        is_there = not missing.by_file or any(map(missing.count, stored.tiles()))
        options = Options(**options)
        notes = missing.leave_out(options, is_there)
        self.notes = tuple(dict.fromkeys((*self.notes, *notes)))
        found: dict[tuple[int, int], int] = {}  # a tile may be decoded again
        self.left_out.append(found)

        def decode(row: int, column: int) -> Pixels:
            tile = stored.decode(row, column)
            found[row, column] = missing.count(tile)
            return tile

        return replace(stored, decode=decode), options, missing

    def _planned(
        self, verb: Callable[..., Any], stored: Stored, options: Options, gathered: int,
        missing: fitting.Missing | None = None,
    ) -> Result:  # fmt: skip
        bands = stored.shape[2] if kind_of(self._given_mode).isdigit() else 1
        source = replace(stored, shape=(*stored.shape[:2], 1)) if bands > 1 else stored

        if bands > 1 and not isinstance(options.get("channels"), bool):
            raise NeedsWholeError(
                "has bands that are not colours, and --channels can choose among them only if the "
                "whole image fits into memory; leave --channels out"
            )

        def carry_out(plan: Plan | ChainPlan, what: Recipe | Chain | Work, _source: Any) -> Result:
            if self.plan is None:
                self.plan = plan
            is_part = isinstance(what, Work)
            work = what if isinstance(what, Work) else work_of(plan, what, Tiles(source, 0))
            is_grey = work.shape[2] < source.shape[2] or (is_part and self.how.is_grey)
            if is_grey and self._given_mode in ("CMYK", "LAB"):
                raise NeedsWholeError(
                    f"is {self._given_mode}, which can be turned into grey only if the whole image "
                    "fits into memory; convert it to RGB first"
                )
            work = by_bands(work, bands) if bands > 1 else work
            if self.how.elsewhere:
                assert stored.again
                assert not isinstance(what, Work), "a part is done by one worker"
                count = missing and missing.count
                regional = Regional(plan, what, work.cells, stored.again, bands, count)
                return Result(work.shape, work.dtype, _no_bands, regional)
            if self.cut is None:
                self.most = memory.bound(self.how.memory)
                self.held = self.how.held and self.how.held + self._packages
            cut = cut_for(work, stored, self.most - self.held, gathered, self.held)
            if self.cut is None:
                self.cut = cut
                self.take(cut.peak)
                self._announce(cut)
            if not cut.is_same:
                self.notes = tuple(dict.fromkeys((*self.notes, _OTHERWISE)))
            return Result(work.shape, work.dtype, partial(self._bands, work, stored, cut))

        made = verb(Tiles(source, 0), **Options(**{**options, "carry_out": carry_out}))
        return cast(Result, made)

    def _halved(self, stored: Stored, options: Options) -> Result:
        """Return a plane half as large: the next level of a pyramid."""
        plain = Options(**{**options, "linear": False, "alpha": "straight", "border": "reflect"})
        plain["nan"], plain["nodata"] = None, None
        plain["region"], plain["mask"], plain["channels"] = None, None, True
        return self._planned(partial(blur, sigma=_HALVING), stored, plain, 0).thinned(2)

    def _bands(self, work: Work, stored: Stored, cut: Cut, first: int) -> Iterator[Pixels]:
        tiles = Tiles(stored, cut.kept)
        on_progress = self.pipeline.options.get("on_progress") or (lambda _done, _total: None)
        try:
            yield from bands_of(work, tiles, cut, on_progress, first)
        finally:  # writers do not ask for more than there is
            self.tiles += tiles.count
            self.decoded += tiles.decoded

    def _elsewhere(
        self, result: Result, regions: Sequence[Region], done: int, put: Put
    ) -> Iterator[Region]:
        """Let the workers of a cluster compute regions, and report those that are done."""
        assert self.how.elsewhere
        on_progress = self.pipeline.options.get("on_progress") or (lambda _done, _total: None)
        total = done + len(regions)
        own = self.how.elsewhere(result, regions, put, lambda: on_progress(done, total))
        for region, left_out in own:
            done += 1
            self.regions += 1
            self.missed += left_out
            yield region

    @property
    def _given_mode(self) -> str:
        assert self.given
        return self.given.mode

    def _announce(self, cut: Cut) -> None:
        if self.how.say:
            self.how.say(f"{shown(self.job.source_name or '')}: {self._memory(cut)}")

    def _memory(self, cut: Cut) -> str:
        """Say how much is held, by the interpreter and its packages as well."""
        own = f"{size_of(self.held)} of it by the program and " if self.held else ""
        return (
            f"at most {size_of(cut.peak + self.held)} of {size_of(self.most)}, in bands of "
            f"{cut.rows} rows, {own}{size_of(cut.kept)} for tiles"
        )

    def _left_out(self) -> int | None:
        """Count the missing samples: those of tiles that were decoded here, and of the others."""
        if not self.left_out:
            return None
        return self.missed + sum(sum(each.values()) for each in self.left_out)

    def _parts(self) -> tuple[tuple[str, str], ...]:
        if self.cut is None:
            return (("cluster", f"{self.regions} regions, each by one worker"),)
        times = self.decoded / max(self.tiles, 1)
        return (
            ("memory", self._memory(self.cut)),
            ("tiles", f"{self.tiles}, decoded {self.decoded} times ({times:.2f} each)"),
        )


def image_at(kind: str, place: Path | str, is_grey: bool, number: int) -> Stored:
    """Open one of the images of a file, in another process; it stays open as long as it is used."""
    opened = load(kind).opened(place, is_grey)
    stored = next(islice(iter(opened.__enter__().images), number, None))

    def decode(row: int, column: int, _opened: Any = opened) -> Pixels:
        return stored.decode(row, column)

    return replace(stored, decode=decode)


def _no_bands(_first: int) -> Iterator[Pixels]:
    raise AssertionError("its regions are computed elsewhere")


def _mark(done: str, source: Path | str, target: Path | str) -> str:
    """Return two hashes: one for a target, and one for some work on an image as it is now."""
    names = (os.path.abspath(each) if isinstance(each, Path) else each for each in (source, target))
    about: list[Any] = [done, *names]
    if isinstance(source, Path):
        files = [source, *(source / name for name in METADATA)]
        about += [(file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.exists()]
    hashes = (sha256(repr(each).encode()).hexdigest()[:12] for each in (about[2], about))
    return "-".join(hashes)

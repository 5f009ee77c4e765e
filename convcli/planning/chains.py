"""The plan of a chain: one plan for each stage, and how the result is cut for the workers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from convcli.loops.layout import ROWS, ceil_div
from convcli.planning.costs import image_cost
from convcli.planning.methods import Executor
from convcli.planning.plan import Plan
from convcli.words import Border, counted, duration

# Between two stages lies a strip of floats for each worker; all together take this many bytes. The
# last rows of a strip are copied to where the next one begins, as far as the kernel reaches: fewer
# rows cost more copies, and more calls. Loops read such strips as fast from the third-level cache
# as smaller ones from the second: three blurs of 24 MP, on one core of an Intel Xeon, took 1.20 of
# the time of three calls by 28 rows as wide as the image, and 1.12 by 56.
_STRIPS_BYTES = 12 << 20
_MOST_ROWS = 128
_LEAST_ROWS = 16
# Columns of a band, in samples: whole rows of most images, because what lies beside a band is
# computed twice. If there are too few bands for the cores, they become narrower, but not less than
# 8 times as wide as all halos together; and they are 8 times as high as those above and below.
_BAND_SAMPLES = 24000
_NARROW_SAMPLES = 3840
_HALOS = 8
# Higher bands would need more memory: rows of the image are given back when a band is done.
_BAND_ROWS = 1024
# Narrower bands are not worth a thread.
_SHORT_BAND = 64


class Bands(NamedTuple):
    """How the result of a chain is cut.

    Attributes
    ----------
    regions : (int, int)
        Rows and columns of a band, which one worker computes from its top down.
    rows : int
        Rows of a strip, the part of a band that goes through all stages at a time.
    """

    regions: tuple[int, int]
    rows: int


def bands(
    size: tuple[int, int, int],
    halos: tuple[int, int],
    cores: int,
    *,
    strips: int,
    whole_rows: bool,
    blocks: Sequence[tuple[int, int]] = (),
    unit: int = ROWS,
) -> Bands:
    """Cut the result of a chain.

    Parameters
    ----------
    size : (int, int, int)
        Rows and columns of the result, and the most channels that a stage has.
    halos : (int, int)
        What all stages after the first together need beyond a region, along y and x.
    cores : int
        How many to use.
    strips : int
        Bytes that a sample of a strip takes in all stages together.
    whole_rows : bool
        Do not cut columns.
    blocks : sequence of (int, int)
        Rows and columns that stages want to compute at a time, because they transform them.
    unit : int
        Strips of a multiple of so many rows need no copies, because stages make these together.
    """
    height, width, channels = size
    rows = max(_BAND_ROWS, _HALOS * halos[0], *(block[0] for block in blocks))
    rows = ceil_div(height, max(round(height / rows), 1))  # a low last band would be halo mostly
    wide, narrow = (
        max(samples // channels, _HALOS * halos[1], *(block[1] for block in blocks), 1)
        for samples in (_BAND_SAMPLES, _NARROW_SAMPLES)
    )
    wanted = 2 * cores if cores > 1 else 1
    enough = ceil_div(wanted, ceil_div(height, rows))
    across = max(ceil_div(width, wide), min(enough, ceil_div(width, narrow)))
    columns = width if whole_rows else min(_whole(ceil_div(width, across)), width)
    if ceil_div(height, rows) * ceil_div(width, columns) < wanted:
        rows = min(rows, max(_SHORT_BAND, halos[0], ceil_div(height, cores)))
    rows = min(_whole(rows), height)
    strip = min(max(_STRIPS_BYTES // (columns * channels * strips), _LEAST_ROWS), _MOST_ROWS)
    if unit <= _MOST_ROWS:
        strip = max(strip // unit, 1) * unit
    return Bands((rows, columns), min(_whole(strip), rows))


def _whole(length: int) -> int:
    """Round up to whole groups of the rows, and columns, whose sums are made together."""
    return ceil_div(length, ROWS) * ROWS


@dataclass(frozen=True)
class StagePlan:
    """One stage of a chain: what it does in words, its plan, and its border."""

    words: str
    plan: Plan
    border: Border

    def parts(self) -> list[tuple[str, str]]:
        """Return what there is to say of it, each part under a word."""
        above, beside = self.plan.reach()
        far = f"{counted(above, 'pixel')} above and below, {beside} left and right"
        own = [part for part in self.plan.parts() if part[0] not in ("spread", "predicted")]
        own.insert(2, ("border", f"{self.border}, {far}"))
        return own


@dataclass(frozen=True)
class ChainPlan:
    """What would run for a chain of filters, and why; print it to read it.

    Attributes
    ----------
    stages : tuple of StagePlan
        From the first to the last.
    executor : {"threads", "processes"}
        What the bands are spread over.
    workers : int
        How many of them.
    bands : Bands
        How the result is cut.
    between : {"float32", "float64"}
        The samples between stages.
    measured : list of float
        Seconds that each stage has taken, once that is known: of one worker, on average.
    """

    stages: tuple[StagePlan, ...]
    executor: Executor
    workers: int
    bands: Bands
    between: str
    measured: list[float] = field(default_factory=list, compare=False)

    def __str__(self) -> str:
        lines = []
        for number, stage in enumerate(self.stages, 1):
            lines.append(f"{f'stage {number}':11}{stage.words}")
            for word, text in stage.parts():
                lines.append(f"  {word:9}{text}".replace("\n", "\n" + 11 * " "))
        lines += [f"{word:11}{text}" for word, text in self.parts()]
        return "\n".join(lines)

    @property
    def method(self) -> str:
        """The methods of the stages, each named once."""
        if self.executor == "processes":
            return "tiled"
        return "+".join(dict.fromkeys(stage.plan.method for stage in self.stages))

    @property
    def predicted(self) -> list[float]:
        """Predicted seconds of each stage."""
        return [
            stage.plan.route.seconds
            + math.prod(stage.plan.task.size) * stage.plan.task.other_work * 1e-9 / self.workers
            for stage in self.stages
        ]

    @property
    def seconds(self) -> float:
        """Predicted time of the chain."""
        first = self.stages[0].plan.task
        size = math.prod(first.size) * first.dtype.itemsize
        return sum(self.predicted) + image_cost(self.executor, self.workers, size, 0.0)

    def parts(self) -> list[tuple[str, str]]:
        """Return what the plan says of all stages together, each part under a word."""
        one = {"threads": "thread", "processes": "process"}[self.executor]
        rows, columns = self.bands.regions
        return [
            (
                "spread",
                f"over {self.workers} {one if self.workers == 1 else self.executor}, bands of "
                f"{columns} x {rows} pixels, {self.bands.rows} rows through all stages at a time",
            ),
            ("between", f"{self.between}, neither rounded nor clipped"),
            ("predicted", f"{duration(self.seconds)} to filter"),
        ]

"""Regions of a stored image's result, each computed by itself: in any process, in any order."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from convcli.loops.layout import ceil_div
from convcli.pixels.source import Span
from convcli.planning.chains import ChainPlan
from convcli.planning.plan import Plan
from convcli.running.banded import by_bands
from convcli.running.cells import bytes_for, computed
from convcli.running.chains import Chain
from convcli.running.recipe import Recipe
from convcli.running.regions import Region
from convcli.running.windowed import DECODING
from convcli.running.works import Cells, Piece, Work, work_of
from convcli.sources.contract import Stored
from convcli.sources.windows import Tiles
from convcli.types import Pixels


class Opened(NamedTuple):
    """An image that was opened to compute regions of its result."""

    stored: Stored
    work: Work


@dataclass(frozen=True)
class Regional:
    """What is needed to compute a region of a result; it can be pickled.

    Attributes
    ----------
    plan, what
        How, and what.
    cells : Cells
        The grid on which regions are computed.
    again : callable
        Opens the image.
    bands : int
        Channels that are filtered each by itself; 1 if they are filtered together.
    missing : callable, optional
        ``missing(pixels)`` counts missing samples.
    step : int
        Only every `step`-th row and column of the result is used.
    conversions : tuple of callable
        What is done to the samples of the result, in their order.
    """

    plan: Plan | ChainPlan
    what: Recipe | Chain
    cells: Cells
    again: Callable[[], Stored]
    bands: int = 1
    missing: Callable[[Pixels], int] | None = None
    step: int = 1
    conversions: tuple[Callable[[Pixels], Pixels], ...] = ()

    def thinned(self, step: int) -> Regional:
        """Return what computes every `step`-th row and column."""
        return replace(self, step=self.step * step)

    def converted(self, convert: Callable[[Pixels], Pixels]) -> Regional:
        """Return what computes samples of another kind."""
        return replace(self, conversions=(*self.conversions, convert))

    def opened(self) -> Opened:
        """Open the image."""
        stored = self.again()
        return Opened(stored, self.work_on(stored))

    def work_on(self, stored: Stored) -> Work:
        """Return the work on the image."""
        if self.bands == 1:
            return work_of(self.plan, self.what, Tiles(stored, 0))
        one = replace(stored, shape=(*stored.shape[:2], 1))
        return by_bands(work_of(self.plan, self.what, Tiles(one, 0)), self.bands)

    def of(self, work: Work, source: Tiles, region: Region) -> Pixels:
        """Compute a region of the result, ``(h, w, C)``, in one thread."""
        rows, columns = (_spread(span, self.step) for span in region)
        made = computed(work, source, (rows, columns))[:: self.step, :: self.step]
        made = np.ascontiguousarray(made)
        for convert in self.conversions:
            made = convert(made)
        return made

    def count(self, source: Tiles, region: Region, shape: tuple[int, int]) -> int:
        """Count the samples that are missing in a region's share of the image."""
        if self.missing is None:
            return 0
        rows, columns = (
            (span[0] * own // side, span[1] * own // side)
            for span, own, side in zip(region, source.shape, shape, strict=False)
        )
        return self.missing(source.window(rows, columns))

    def size_for(self, shard: Piece) -> Piece:
        """Return rows and columns of the regions in which whole shards are computed.

        If cells are larger than shards, these are as many shards as are not smaller.
        """
        if not self.cells.is_rigid:
            return shard
        down, across = (
            own * ceil_div(ceil_div(cell, self.step), own)
            for own, cell in zip(shard, self.cells.size, strict=True)
        )
        return down, across

    def bytes_for(self, work: Work, stored: Stored, region: Region) -> int:
        """Return the bytes that computing a region takes at most, beside the tiles that are kept.

        They include a tile that is being decoded.
        """
        rows, columns = (_spread(span, self.step) for span in region)
        tile = math.prod(stored.tile) * stored.shape[2] * stored.dtype.itemsize
        return bytes_for(work, (rows, columns)) + (1 + DECODING) * tile


def _spread(span: Span, step: int) -> Span:
    """Return where the rows, or columns, that a step keeps are among all."""
    return span[0] * step, (span[1] - 1) * step + 1

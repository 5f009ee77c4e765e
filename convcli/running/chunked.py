"""A region of a result, computed from those chunks of the image that it depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, cast

import numpy as np

from convcli.pixels.borders import lines
from convcli.pixels.colour import result_channels
from convcli.pixels.source import Span
from convcli.planning.plan import Plan
from convcli.running.recipe import Recipe
from convcli.running.regions import Part, Region, prepare
from convcli.types import Pixels
from convcli.words import Border

Bounds = Sequence[int]
"""Where the chunks of an axis begin, and where the last one ends."""

Needs = tuple[tuple[int, ...], tuple[int, ...]]
"""Which rows and which columns of chunks."""


@dataclass(frozen=True)
class Filtering:
    """A filter of a whole image of which each region is computed by itself.

    Attributes
    ----------
    plan, recipe
        How, and what.
    shape : (H, W, C)
        Of the whole image.
    dtype : dtype
        Its samples.
    """

    plan: Plan
    recipe: Recipe
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    @property
    def result(self) -> tuple[int, np.dtype[Any]]:
        """Channels and dtype of the result."""
        return result_channels(self.recipe.colour, self.shape[2]), self.recipe.out_dtype

    @property
    def pieces(self) -> tuple[int, int] | None:
        """Rows and columns of the only regions that give the result of the whole to the bit.

        The rounding of transforms depends on where blocks begin. None if all regions do.
        """
        route = self.plan.route
        if route.loop != "overlap_add":
            return None
        return route.regions if route.executor == "threads" else route.tile

    def needs(self, region: Region, bounds: tuple[Bounds, Bounds]) -> Needs:
        """Return which chunks a region depends on."""
        rows, columns = self._begun(region)
        above, below, left, right = self.recipe.reach
        border = self.recipe.border
        return (
            needed(rows, (above, below), border, bounds[0]),
            needed(columns, (left, right), border, bounds[1]),
        )

    def of(self, source: Chunks, region: Region) -> Pixels:
        """Compute a region of the result ``(h, w, C)``, in one thread."""
        rows, columns = self._begun(region)
        channels, dtype = self.result
        made = np.empty((rows[1] - rows[0], columns[1] - columns[0], channels), dtype)
        filter_region = prepare(self.plan, self.recipe, self.shape[2])
        filter_region(source, cast(Pixels, Part(made, rows[0], columns[0])), (rows, columns))
        return np.ascontiguousarray(made[region[0][0] - rows[0] :, region[1][0] - columns[0] :])

    def _begun(self, region: Region) -> Region:
        """Return the region that is computed for a region: it begins on the grid, if any."""
        if not self.recipe.decimations:
            return region
        (top, bottom), (left, right) = region
        down, across = (axis.step for axis in self.recipe.decimations)
        return (top // down * down, bottom), (left // across * across, right)


@dataclass(frozen=True)
class Gathering:
    """Regions of an image that has other chunks; see `Filtering`."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    @property
    def result(self) -> tuple[int, np.dtype[Any]]:
        """Channels and dtype of the result."""
        return self.shape[2], self.dtype

    def needs(self, region: Region, bounds: tuple[Bounds, Bounds]) -> Needs:
        """Return which chunks a region lies in."""
        rows, columns = region
        return needed(rows, (0, 0), "wrap", bounds[0]), needed(columns, (0, 0), "wrap", bounds[1])

    def of(self, source: Chunks, region: Region) -> Pixels:
        """Return the samples of a region."""
        return source.window(*region)


def needed(span: Span, reach: Span, border: Border, bounds: Bounds) -> tuple[int, ...]:
    """Return which chunks of an axis some lines of a result depend on.

    Parameters
    ----------
    span : (int, int)
        The lines.
    reach : (int, int)
        How many lines before and after each it depends on.
    border
        What lies beyond the edge of the whole image.
    bounds : sequence of int
        Where the chunks lie.

    Examples
    --------
    >>> needed((0, 4), (2, 2), "wrap", [0, 4, 8, 12])
    (0, 1, 2)
    """
    found = np.unique(lines(span, *reach, border, bounds[-1]))
    chunks = np.searchsorted(bounds, found[found >= 0], "right") - 1
    return tuple(np.unique(chunks).tolist())


class Chunks:
    """A source over some of the chunks of an image: those that windows are asked of.

    `rows` and `columns` say where the chunks lie, which form a grid with gaps.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        rows: Sequence[Span],
        columns: Sequence[Span],
        chunks: Sequence[Sequence[Pixels]],
    ) -> None:
        self.shape, self.dtype = shape, dtype
        self._rows, self._columns, self._chunks = rows, columns, chunks

    def window(self, rows: Span, columns: Span) -> Pixels:
        """Return the samples of a window; a view of a chunk, where it lies in one."""
        down, across = _overlaps(rows, self._rows), _overlaps(columns, self._columns)
        if len(down) == len(across) == 1:
            (i, _, y), (j, _, x) = *down, *across
            return self._chunks[i][j][y, x]
        out = np.empty((rows[1] - rows[0], columns[1] - columns[0], self.shape[2]), self.dtype)
        for i, to_y, y in down:
            for j, to_x, x in across:
                out[to_y, to_x] = self._chunks[i][j][y, x]
        return out


def _overlaps(span: Span, chunks: Sequence[Span]) -> list[tuple[int, slice, slice]]:
    """Return which chunks a span meets, and where that is in the span and in the chunk."""
    found = []
    for number, (start, end) in enumerate(chunks):
        first, last = max(span[0], start), min(span[1], end)
        if first < last:
            to = slice(first - span[0], last - span[0])
            found.append((number, to, slice(first - start, last - start)))
    return found


def spans_of(bounds: Bounds) -> list[Span]:
    """Return where the chunks of an axis lie.

    >>> spans_of([0, 4, 9])
    [(0, 4), (4, 9)]
    """
    return [*pairwise(bounds)]


def bounds_of(sizes: Sequence[int]) -> list[int]:
    """Return where chunks of these sizes begin, and where the last one ends.

    >>> bounds_of((4, 5))
    [0, 4, 9]
    """
    return [*accumulate(sizes, initial=0)]

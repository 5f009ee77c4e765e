"""A part of an image that does not fit into memory: bands of the result.

Each rectangle of the part is planned as the image of its own that it is in memory. A band computes
those cells of it that it touches, and so has the bits of the result in memory.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convcli.errors import NeedsWholeError
from convcli.filtering.options import Options
from convcli.filtering.part_cutting import Cutting
from convcli.once import cached_property
from convcli.pixels.part import Rectangle
from convcli.pixels.source import Source, Span
from convcli.planning.chains import ChainPlan
from convcli.planning.plan import Plan
from convcli.running.cells import bytes_for, computed
from convcli.running.regions import Region
from convcli.running.works import Cells, Piece, Work, work_of
from convcli.types import Pixels

# Rows of bands: high ones are halo for a small part alone.
_ROWS = (1024, 512, 256, 128, 64)

# Rows of the image that become samples of the result at a time.
_CONVERTED_ROWS = 64

# Arrays of floats where a part is mixed with the image, or the luminance is filtered.
_FLOATS = 4

# Rectangles that are planned before the work: the largest, beside which others take no more memory.
# A mask may have very many. So many are remembered, too.
_PLANNED = 64


class Banded(Cutting):
    """Filters what lies inside a rectangle, and does not cut out all of that.

    Attributes
    ----------
    is_loose : bool
        Bands may be lower than cells are, where all samples are finite.
    """

    is_loose = False

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._works: dict[tuple[Rectangle, np.dtype[Any]], tuple[Any, Work]] = {}

    def planned(self, piece: Rectangle, dtype: np.dtype[Any]) -> tuple[Plan | ChainPlan, Work]:
        """Return how a rectangle is filtered."""
        key = piece, dtype
        found = self._works.get(key)
        if found is None:
            change, options = self._how(dtype)
            view = self._view(piece, change)
            found = _planned(self._run, view, options)
            while len(self._works) >= _PLANNED:
                del self._works[next(iter(self._works))]
            self._works[key] = found
        return found

    def _run_on(
        self, piece: Rectangle, inside: Rectangle, dtype: np.dtype[Any]
    ) -> tuple[Pixels | None, Pixels]:
        _, work = self.planned(piece, dtype)
        view = self._view(piece, self._how(dtype)[0])
        place = view.place(inside)
        if self.is_loose:
            work = work._replace(cells=work.loose)
        before = view.window(*place) if self.chosen.luma else None
        return before, computed(work, view, place, work.workers)


def _planned(run: Callable[..., Any], source: Source, options: Options) -> tuple[Any, Work]:
    """Return how an image is filtered."""
    found: list[Any] = []
    run(source, **{**options, "carry_out": lambda *each: found.append(each)})
    ((plan, what, _),) = found
    return plan, work_of(plan, what, source)


@dataclass(frozen=True)
class Bands:
    """What is filtered in bands.

    Attributes
    ----------
    cutting : Banded
        Filters rectangles of the image.
    todo : sequence of (Rectangle, bool)
        The rectangles, and whether what they hold is filtered, and not mixed.
    mask : ndarray (H, W), optional
        How much of the filtered image each pixel gets.
    dtype : dtype
        Of the result.
    original : callable
        ``original(window)`` returns samples of the image as samples of the result.
    """

    cutting: Banded
    todo: Sequence[tuple[Rectangle, bool]]
    mask: Pixels | None
    dtype: np.dtype[Any]
    original: Callable[[Pixels], Pixels]

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """The first row of each rectangle, and the one after its last."""
        return np.array([piece.rows for piece, _ in self.todo], np.int64).reshape(-1, 2)


def carried_out(run: Callable[..., Any], source: Source, bands: Bands, asked: Options) -> Any:
    """Let `carry_out` do the work on a part of an image, and return what that returns."""
    cutting, carry_out = bands.cutting, asked["carry_out"]
    assert carry_out
    if cutting.reach.whole:
        raise NeedsWholeError(
            "--stretch and --canny need the whole image, also for a part of it, and it does not "
            "fit into memory; leave them out"
        )
    if cutting.reach.wraps:
        raise NeedsWholeError(
            "--region, --mask and --channels need the whole image with --border wrap, and it does "
            "not fit into memory; choose another border"
        )
    works = [
        (piece, *cutting.planned(piece, cutting.dtype_of(is_whole, bands.dtype)))
        for piece, is_whole in _largest(bands.todo)
    ]
    if works:
        plan = works[0][1]
    else:
        whole = Options(**{**asked, "region": None, "mask": None, "channels": True})
        plan, _ = _planned(run, source, whole)
    height, width, channels = source.shape
    same, divisions = _divisions([work for _, _, work in works], height)
    (halo, _), (unit, _) = cutting.reach.halo, cutting.reach.units

    def needed(rows: Span) -> Span:
        beyond = halo + 2 * unit + max((work.cells.size[0] for _, _, work in works), default=0)
        return max(0, rows[0] - beyond), min(height, rows[1] + beyond)

    def holds(piece: Piece) -> int:
        converted = min(piece[0], _CONVERTED_ROWS) * width * channels
        own = source.dtype.itemsize + 2 * bands.dtype.itemsize
        own += 8 if source.dtype != bands.dtype else 0
        floats = _FLOATS * 8 if bands.mask is not None or cutting.chosen.luma else 0
        most = 0
        for each, _, work in works:
            rows = min(piece[0], each.rows[1] - each.rows[0])
            columns = each.columns[1] - each.columns[0]
            if piece[0] < divisions[same - 1]:
                work = work._replace(cells=work.loose)
            most = max(most, rows * columns * channels * floats + _bytes_for(work, (rows, columns)))
        return converted * own + most

    def prepared(piece: Piece) -> Callable[[Source, Pixels, Region], None]:
        own = copy.copy(cutting)
        own.is_loose = piece[0] < divisions[same - 1]
        return partial(_filled, replace(bands, cutting=own))

    cells = Cells((_ROWS[-1], _ROWS[-1]), (height, width), is_rigid=False)
    work = Work(
        shape=source.shape,
        dtype=bands.dtype,
        workers=1,  # each band is filtered by all workers
        divisions=tuple((rows, (rows, width)) for rows in divisions),
        same=same,
        anchor=height,
        cells=cells,
        loose=cells,
        needed=needed,
        beyond=0,
        holds=holds,
        prepare=prepared,
    )
    return carry_out(plan, work, source)


def _largest(todo: Sequence[tuple[Rectangle, bool]]) -> list[tuple[Rectangle, bool]]:
    """Return one rectangle of each of the largest sizes."""
    sizes: dict[Any, tuple[Rectangle, bool]] = {}
    for piece, is_whole in todo:
        (top, bottom), (left, right) = piece
        sizes.setdefault((bottom - top, right - left, is_whole), (piece, is_whole))
    order = sorted(sizes, key=lambda size: size[0] * size[1], reverse=True)
    return [sizes[size] for size in order[:_PLANNED]]


def _divisions(works: Sequence[Work], height: int) -> tuple[int, list[int]]:
    """Return how many divisions give the result in memory whatever the samples are, and all.

    These are as high as a cell, so that each is computed for two bands at most; lower ones are
    computed by looser cells. Cells of transforms cannot be divided.
    """
    cell = max((work.cells.size[0] for work in works if work.cells.is_rigid), default=1)
    least = max((work.loose.size[0] for work in works if work.loose.is_rigid), default=1)
    every = {min(max(rows, least), height) for rows in (cell, *_ROWS) if rows >= _ROWS[-1]}
    divisions = sorted(every, reverse=True)
    return sum(rows >= min(cell, height) for rows in divisions), divisions


def _bytes_for(work: Work, size: Piece) -> int:
    """Return the bytes that a region of a size takes, where it touches as many cells as it can."""
    (height, width, _), (down, across) = work.shape, work.cells.size
    top, left = min(down - 1, height - size[0]), min(across - 1, width - size[1])
    region = (top, top + size[0]), (left, left + size[1])
    return bytes_for(work, region, work.workers)


def _filled(bands: Bands, source: Source, out: Pixels, region: Region) -> None:
    """Fill a region of the result: with the image, and over that with the part that is filtered."""
    (top, bottom), (left, right) = region
    target = out[top:bottom, left:right]
    for first in range(top, bottom, _CONVERTED_ROWS):
        rows = first, min(first + _CONVERTED_ROWS, bottom)
        target[rows[0] - top : rows[1] - top] = bands.original(source.window(rows, (left, right)))
    cutting = copy.copy(bands.cutting)
    cutting.source = source
    for number in np.flatnonzero((bands.rows[:, 0] < bottom) & (bands.rows[:, 1] > top)):
        piece, is_whole = bands.todo[int(number)]
        inside = Rectangle((max(piece.rows[0], top), min(piece.rows[1], bottom)), piece.columns)
        of_mask = None if bands.mask is None else bands.mask[inside.at]
        made = cutting.made(piece, inside, is_whole, of_mask, bands.dtype)
        made.put(target[inside.rows[0] - top : inside.rows[1] - top, slice(*inside.columns)])

"""Bands that are no colours: each is filtered by itself, in windows of its own."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from convcli.pixels.source import Source, Span
from convcli.running.regions import Part, Region, RegionFilter
from convcli.running.works import Piece, Work
from convcli.sources.windows import Tiles
from convcli.types import Pixels


def by_bands(work: Work, count: int) -> Work:
    """Return the work on an image of which each channel is filtered by itself, as grey."""
    height, width, channels = work.shape

    def prepared(piece: Piece) -> RegionFilter:
        filter_region = work.prepare(piece)

        def filter_each(source: Source, out: Pixels, region: Region) -> None:
            rows, columns = region
            result = out[rows[0] : rows[1], columns[0] : columns[1]]
            for number in range(count):
                made = np.empty((*result.shape[:2], channels), result.dtype)
                part = cast(Pixels, Part(made, rows[0], columns[0]))
                filter_region(_Band(cast(Tiles, source), number), part, region)
                result[..., number * channels : (number + 1) * channels] = made

        return filter_each

    return work._replace(
        shape=(height, width, channels * count),
        holds=lambda piece: work.holds(piece) + math.prod(piece) * channels * work.dtype.itemsize,
        prepare=prepared,
    )


class _Band:
    """One channel of an image."""

    def __init__(self, source: Tiles, number: int) -> None:
        self._source, self._number = source, number

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and one channel."""
        return (*self._source.shape[:2], 1)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its samples."""
        return self._source.dtype

    def window(self, rows: Span, columns: Span) -> Pixels:
        """Return a window of the channel."""
        own = slice(self._number, self._number + 1)
        return np.ascontiguousarray(self._source.window(rows, columns, own))

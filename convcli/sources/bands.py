"""Bands of whole rows, joined and cut to another height."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from convcli.types import Pixels


def regrouped(bands: Iterable[Pixels], rows: int) -> Iterator[Pixels]:
    """Yield bands of this many rows; the last may have fewer.

    >>> bands = (np.zeros((height, 4, 1)) for height in (2, 5, 1))
    >>> [band.shape[0] for band in regrouped(bands, 3)]
    [3, 3, 2]
    """
    waiting: Pixels | None = None
    count = 0
    for band in bands:
        at = 0
        while at < len(band):
            end = min(len(band), at + rows - count)
            if end - at == rows:
                yield band[at:end]
            else:  # each band is copied as it comes: joined at the end, all would be held twice
                waiting = _room_for(rows, band) if waiting is None else waiting
                waiting[count : count + end - at] = band[at:end]
                count = (count + end - at) % rows
                if not count:
                    joined, waiting = waiting, None
                    yield joined
                    del joined  # or it would be held while the next ones are made
            at = end
        del band
    if waiting is not None:
        yield waiting[:count]


def thinned(bands: Iterable[Pixels], step: int) -> Iterator[Pixels]:
    """Yield every `step`-th row and column, beginning with the first.

    >>> image = np.arange(25).reshape(5, 5, 1)
    >>> np.concatenate([*thinned([image[:3], image[3:]], 2)])[..., 0].tolist()
    [[0, 2, 4], [10, 12, 14], [20, 22, 24]]
    """
    top = 0
    for band in bands:
        kept = band[-top % step :: step, ::step]
        top += len(band)
        if len(kept):
            yield kept


def cropped(bands: Iterable[Pixels], rows: int, columns: int) -> Iterator[Pixels]:
    """Yield the first rows and columns."""
    for band in bands:
        if rows > 0:
            yield band[:rows, :columns]
        rows -= len(band)


def _room_for(rows: int, band: Pixels) -> Pixels:
    return np.empty((rows, *band.shape[1:]), band.dtype)

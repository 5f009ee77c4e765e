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
    waiting: list[Pixels] = []
    count = 0
    for band in bands:
        at = 0
        while at < len(band):
            part = band[at : at + rows - count]
            at += len(part)
            count += len(part)
            waiting.append(part)
            if count == rows:
                joined, waiting, count = _joined(waiting), [], 0
                del part
                yield joined
                del joined  # or it would be held while the next ones are made
        del band
    if waiting:
        yield _joined(waiting)


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


def _joined(parts: list[Pixels]) -> Pixels:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)

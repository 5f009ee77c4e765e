"""Windows of a stored image, from tiles that are decoded once and kept while they are needed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import Any
from weakref import finalize

import numpy as np

from convcli.pixels.source import Span
from convcli.sources.contract import Stored
from convcli.types import Pixels

Place = tuple[int, int]


class Tiles:
    """A stored image as a source of windows; tiles used last are kept, up to a number of bytes.

    Bands, which are as wide as the image, need the same tiles in the same order. If these are more
    than may be kept, each would be forgotten before it is needed again. So where `release` says
    which are not needed any more, those go first, and then the newest.

    Attributes
    ----------
    decoded : int
        How many tiles have been decoded; one that had to be decoded again counts again.

    Examples
    --------
    >>> image = np.arange(30, dtype=np.uint8).reshape(5, 6, 1)
    >>> decode = lambda row, column: image[2 * row : 2 * row + 2, 4 * column : 4 * column + 4]
    >>> tiles = Tiles(Stored(image.shape, image.dtype, (2, 4), decode), room=100)
    >>> tiles.window((1, 3), (3, 5))[..., 0].tolist(), tiles.decoded
    ([[9, 10], [15, 16]], 4)
    """

    def __init__(self, stored: Stored, room: float) -> None:
        self._stored = stored
        self._room = room
        self._kept: OrderedDict[Place, Future[Pixels]] = OrderedDict()
        self._bytes = 0
        self._released, self._is_scanned = 0, False
        self._lock = threading.Lock()
        self._left: list[memoryview] = []
        self.decoded = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels of the whole image."""
        return self._stored.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its samples."""
        return self._stored.dtype

    @property
    def count(self) -> int:
        """How many tiles there are."""
        down, across = self._stored.counts
        return down * across

    def window(self, rows: Span, columns: Span, channels: slice = slice(None)) -> Pixels:
        """Return the samples of a window, or some channels; a view of a tile, if it lies in one."""
        height, width = self._stored.tile
        down = range(rows[0] // height, (rows[1] - 1) // height + 1)
        across = range(columns[0] // width, (columns[1] - 1) // width + 1)
        if len(down) == len(across) == 1:
            tile = self._tile((down[0], across[0]))
            top, left = down[0] * height, across[0] * width
            return tile[
                rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left, channels
            ]
        count = len(range(self.shape[2])[channels])
        out = np.empty((rows[1] - rows[0], columns[1] - columns[0], count), self.dtype)
        for i in down:
            top, bottom = max(rows[0], i * height), min(rows[1], (i + 1) * height)
            for j in across:
                left, right = max(columns[0], j * width), min(columns[1], (j + 1) * width)
                out[top - rows[0] : bottom - rows[0], left - columns[0] : right - columns[0]] = (
                    self._tile((i, j))[
                        top - i * height : bottom - i * height,
                        left - j * width : right - j * width,
                        channels,
                    ]
                )
        return out

    def ends_with(self, value: float) -> bool:
        """Return whether the last channel has this value everywhere; decoding ends where not."""
        return all(bool((tile[..., -1] == value).all()) for tile in self._stored.tiles())

    def fetch(self, rows: Span) -> None:
        """Decode the tiles of some rows ahead, unless they have been released meanwhile.

        What could not be kept until it is needed is not decoded.
        """
        height, width = self._stored.tile
        for i in range(rows[0] // height, (rows[1] - 1) // height + 1):
            for j in range(-(-self.shape[1] // width)):
                if (i + 1) * height > self._released and self._has_room():
                    self._tile((i, j))

    def release(self, row: int) -> None:
        """Let tiles that lie above a row be forgotten first: they were used, and will not be."""
        with self._lock:
            self._released, self._is_scanned = row, True
            for place in [*self._kept]:
                if (place[0] + 1) * self._stored.tile[0] <= row:
                    self._kept.move_to_end(place, last=False)

    def _tile(self, place: Place) -> Pixels:
        with self._lock:
            known = self._kept.get(place)
            if known is None:
                future = self._kept[place] = Future()
                self.decoded += 1
            else:
                self._kept.move_to_end(place)
        if known is not None:
            return known.result()
        try:
            tile = self._moved(self._stored.decode(*place))
        except BaseException as error:
            future.set_exception(error)
            raise
        future.set_result(tile)
        with self._lock:
            self._bytes += tile.nbytes
            self._forget()
        return tile

    def _moved(self, tile: Pixels) -> Pixels:
        """Move a tile to memory that an earlier one has left.

        Tiles stay, and what is allocated between them goes: with new memory for each tile, what
        the process held was up to half as much again as the tiles.
        """
        try:
            memory = self._left.pop()
        except IndexError:
            memory = np.empty(self._size, np.uint8).data
        # Windows may be views of it: it lives as long as they do, which numpy's own base would not.
        base = np.frombuffer(memory, tile.dtype, tile.size)
        finalize(base, self._left.append, memory).atexit = False
        moved = base.reshape(tile.shape)
        moved[...] = tile
        return moved

    @property
    def _size(self) -> int:
        """Bytes of a tile."""
        height, width = self._stored.tile
        return height * width * self.shape[2] * self.dtype.itemsize

    def _has_room(self) -> bool:
        """Whether another tile can be kept beside those that are still needed."""
        size = self._size
        with self._lock:
            needed = sum(not self._is_released(place) for place in self._kept)
        return (needed + 1) * size <= self._room

    def _is_released(self, place: Place) -> bool:
        return (place[0] + 1) * self._stored.tile[0] <= self._released

    def _forget(self) -> None:
        """Let go of the tiles that were used longest ago, or that are needed last."""
        if self._bytes <= self._room:
            return
        order = [*self._kept]
        if self._is_scanned:
            order.reverse()
            order.sort(key=self._is_released, reverse=True)  # those come first
        for place in order:
            future = self._kept[place]
            if future.done() and not future.exception():
                self._bytes -= future.result().nbytes
                del self._kept[place]
            if self._bytes <= self._room:
                return

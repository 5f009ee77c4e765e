"""The contract of images that are stored in pieces, and the table of what reads and writes them.

A module of the table has two functions. ``opened(place, is_grey)`` is a context manager that gives
the `Given` of a path or URL, for a filter that makes grey of colour or not. ``save(target,
given, results, settings)`` writes `Result` objects, one for each image of the `Given`, and returns
notes; nothing has the target's name until all of it is written. Errors are a `ConvcliError`, whose
text is a predicate: the caller names the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from convcli.errors import ConvcliError, NeedsWholeError

if TYPE_CHECKING:
    import numpy as np

    from convcli.types import Pixels

Decode = Callable[[int, int], "Pixels"]

# Bytes of the pieces in which samples are read that are stored without compression.
PIECE = 1 << 17


@dataclass(frozen=True)
class Stored:
    """An image that is stored in tiles of one size.

    Attributes
    ----------
    shape : (H, W, C)
        Rows, columns and channels of the image.
    dtype : dtype
        Its samples: uint8, uint16, float32 or float64, in the machine's byte order.
    tile : (int, int)
        Rows and columns of the tiles. Those at the lower and the right edge may be smaller.
    decode : callable
        ``decode(row, column)`` returns a tile by its place, ``(h, w, C)``, cut at the image's
        edges. It may be called by several threads at once.
    again : callable, optional
        Opens the image in another process; it can be pickled.
    tables : int
        Bytes of what says where the tiles are, in the input and in a result like it.
    notes : tuple of str
        What is noted about the image.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    tile: tuple[int, int]
    decode: Decode
    again: Callable[[], Stored] | None = None
    tables: int = 0
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> tuple[int, int]:
        """How many tiles there are, down and across."""
        (height, width, _), (rows, columns) = self.shape, self.tile
        return -(-height // rows), -(-width // columns)

    def tiles(self) -> Iterator[Pixels]:
        """Decode one tile after the other."""
        down, across = self.counts
        return (self.decode(i, j) for i in range(down) for j in range(across))


@dataclass(frozen=True)
class Given:
    """What was opened: one image or several, and what goes along with them.

    Attributes
    ----------
    images : iterable of Stored
        The images; each is opened when it is asked for.
    count : int
        How many they are.
    mode : str
        A mode of `convcli.image.picture`.
    kind : str
        The key of the table that it was opened by.
    carried : dict
        Metadata that the kind itself writes again.
    profile : bytes
        A colour profile (ICC).
    nodata : float, optional
        The value that stands for missing samples, if the file states one.
    notes : tuple of str
        What was dropped or changed.
    """

    images: Iterable[Stored]
    count: int
    mode: str
    kind: str
    carried: dict[str, Any] = field(default_factory=dict)
    profile: bytes = b""
    nodata: float | None = None
    notes: tuple[str, ...] = ()


Size = tuple[int, int]
"""Rows and columns."""

Region = tuple[tuple[int, int], tuple[int, int]]
"""Rows and columns of a part of an image: the first, and the one after the last."""

Put = Callable[[Region, "Pixels"], None]
"""Writes a region of a result; it can be pickled."""


class Regional(Protocol):
    """What computes regions of a result, each by itself: see `convcli.running.regional`."""

    def thinned(self, step: int) -> Regional:
        """Return what computes every `step`-th row and column."""

    def converted(self, convert: Callable[[Pixels], Pixels]) -> Regional:
        """Return what computes samples of another kind."""

    def size_for(self, shard: Size) -> Size:
        """Return the size of the regions in which whole shards are computed."""


Elsewhere = Callable[["Result", Sequence[Region], int, Put], Iterable[Region]]
"""``elsewhere(result, regions, done, put)`` lets other processes compute regions and put them where
they belong, and yields each when that is done; so many were done before."""


@dataclass(frozen=True)
class Result:
    """The result for one image: bands of whole rows, from the top down.

    Attributes
    ----------
    shape : (H, W, C)
        Rows, columns and channels.
    dtype : dtype
        Its samples.
    bands_from : callable
        ``bands_from(row)`` yields bands ``(rows, W, C)`` from a row on. A band is computed when it
        is asked for, and may be of any height.
    regional : Regional, optional
        What computes regions in other processes instead.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    bands_from: Callable[[int], Iterator[Pixels]]
    regional: Regional | None = None

    @property
    def bands(self) -> Iterator[Pixels]:
        """All bands."""
        return self.bands_from(0)

    def thinned(self, step: int) -> Result:
        """Return every `step`-th row and column, beginning with the first."""
        from convcli.sources.bands import thinned

        height, width, channels = self.shape
        shape = -(-height // step), -(-width // step), channels
        bands_from = lambda row: thinned(self.bands_from(row * step), step)  # noqa: E731
        regional = self.regional and self.regional.thinned(step)
        return Result(shape, self.dtype, bands_from, regional)

    def converted(self, dtype: np.dtype[Any], convert: Callable[[Pixels], Pixels]) -> Result:
        """Return a result of another dtype."""
        bands_from = lambda row: map(convert, self.bands_from(row))  # noqa: E731
        regional = self.regional and self.regional.converted(convert)
        return Result(self.shape, dtype, bands_from, regional)


class Settings(NamedTuple):
    """How a result is written.

    Attributes
    ----------
    overwrite : bool
        Replace what has the name of the target.
    strip : bool
        Leave out metadata.
    workers : int
        Threads for compression.
    within : str or None
        The folder that the target has to be in; see `convcli.files.writing.new_file`.
    mark : str
        What is done to which image: the same for work that may go on where it ended.
    goes_on : bool
        Go on with work of this mark.
    halve : callable, optional
        Returns an image blurred and half as large, for the lower levels of a pyramid.
    elsewhere : callable, optional
        See `Elsewhere`.
    """

    overwrite: bool = False
    strip: bool = False
    workers: int = 1
    within: str | None = None
    mark: str = ""
    goes_on: bool = False
    halve: Callable[[Stored], Result] | None = None
    elsewhere: Elsewhere | None = None


class Kind(Protocol):
    """A module of the table."""

    def opened(self, place: Path | str, is_grey: bool = False) -> AbstractContextManager[Given]:
        """Open a file or folder, or what is at a URL."""

    def save(
        self, target: Path | str, given: Given, results: Iterable[Result], settings: Settings
    ) -> tuple[str, ...]:
        """Write results, and return notes."""

    def rows_gathered(self, given: Given) -> int:
        """Return how many rows of a result are held until they are written."""


KINDS = {
    "NPY": "convcli.sources.npy",
    "TIFF": "convcli.sources.tiff",
    "ZARR": "convcli.sources.zarr_writing",
}
"""Modules by the names of formats."""


def load(kind: str) -> Kind:
    """Return a module of the table, and import it if need be."""
    return cast(Kind, import_module(KINDS[kind]))


DTYPES = ("uint8", "uint16", "float32", "float64")
"""Samples that are filtered."""


def check_samples(dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Raise `ConvcliError` for samples that are not filtered, and for an image without pixels."""
    if dtype.name not in DTYPES:
        raise NeedsWholeError(
            f"has samples of {dtype.name}, which convcli cannot filter in parts; convert it to "
            "uint8, uint16, float32 or float64"
        )
    if min(shape) < 1:
        raise ConvcliError(f"is empty: its shape is {shape}")

"""What is done to each image of a batch: a description, which does nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from convcli import image
from convcli.filtering.options import Options
from convcli.image import Picture
from convcli.types import Pixels
from convcli.words import Depth

if TYPE_CHECKING:
    from convcli.batch.planes import Planes
    from convcli.sources.contract import Put, Region, Result


class Several(NamedTuple):
    """The result of a filter that makes several images of one, and notes on it."""

    images: list[Pixels]
    notes: tuple[str, ...] = ()


class Pipeline(NamedTuple):
    """What is done to each image.

    Attributes
    ----------
    verb : callable
        ``verb(pixels, **options)``: a function of `convcli.filtering.filters` with its own
        arguments bound, or one that returns `Several`. Those become the frames of the result, for
        a `write` that knows where each belongs.
    options : Options
        Options of every image; its mode and its frames add to them.
    read, write : callable
        `convcli.image.read` and `convcli.image.write` with their settings bound. Without
        `write`, only the first frame is filtered.
    look : callable, optional
        Called with the first frame before it is filtered, and again with the result.
    skip_existing : bool
        Whether an output that appears during the run is skipped, and not a failure.
    planes : callable, optional
        Returns how the filter goes over the planes of a video.
    in_parts : InParts, optional
        How images that do not fit into memory are filtered.
    remark : callable, optional
        ``remark(result, has_alpha)``: returns notes on the result of the first frame.
    by_rows : bool
        The verb takes the option `on_rows`, and returns the result that it is called with.
    """

    verb: Callable[..., Pixels | Several]
    options: Options
    read: Callable[..., Picture] = image.read
    write: Callable[..., tuple[str, ...]] | None = image.write
    look: Callable[[Picture], None] | None = None
    skip_existing: bool = False
    planes: Callable[[], Planes] | None = None
    in_parts: InParts | None = None
    remark: Callable[[Pixels, bool], tuple[str, ...]] | None = None
    by_rows: bool = False


Elsewhere = Callable[
    ["Result", Sequence["Region"], "Put", Callable[[], None]], Iterable[tuple["Region", int]]
]


class InParts(NamedTuple):
    """How images are filtered that do not fit into memory; see `convcli.batch.windowed`.

    Attributes
    ----------
    memory : int or None
        Bytes that may be held; without it half of what is free.
    held : int
        Bytes of them that the program itself holds.
    overwrite : bool
        Replace what has the name of an output.
    strip : bool
        Leave out metadata.
    is_grey : bool
        The filter makes grey of colour.
    depth : {"8", "16", "float32"}, optional
        Samples of the result, if they are not to be the image's.
    mark : callable
        Returns what stands for the filter and its options: work of another mark does not go on.
    say : callable, optional
        Called with lines that tell how an image will be filtered, before it is.
    elsewhere : callable, optional
        ``elsewhere(result, regions, put, on_look)`` lets other processes compute regions of a
        result and put them where they belong, and yields each with its number of missing samples.
        It calls `on_look` now and then while it waits.
    """

    memory: int | None = None
    held: int = 0
    overwrite: bool = False
    strip: bool = False
    is_grey: bool = False
    depth: Depth | None = None
    mark: Callable[[], str] = str
    say: Callable[[str], None] | None = None
    elsewhere: Elsewhere | None = None

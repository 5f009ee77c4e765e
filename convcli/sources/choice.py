"""Which inputs are filtered window by window: those that do not fit. numpy is not imported."""

from __future__ import annotations

import math
import os
from pathlib import Path

from convcli import memory
from convcli.errors import ConvcliError
from convcli.files.formats import FORMATS, row_of
from convcli.files.job import Job
from convcli.files.stores import is_store
from convcli.files.urls import is_url
from convcli.image.costs import DEEPER
from convcli.sources.contract import KINDS

_SIGNATURES = {
    b"\x93NUMPY": "NPY",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}

# Samples of the image and of the result, both held whole.
_HELD = 2

# What filtering a whole image takes beside these is known when it is planned. Up to 4 times as much
# (fft, of float64), and 100 MB for each worker (numpy) were measured.
_WITH_FLOATS = 4
_FOR_A_WORKER = 96 << 20


def kind_for(job: Job, asked: int | None, workers: int, has_depth: bool = False) -> str | None:
    """Return the kind by which an input is filtered in windows, or None if it is read whole.

    Parameters
    ----------
    job : Job
        The input and its output.
    asked : int or None
        The value of --memory.
    workers : int
        How many filter the image, if it is read whole.
    has_depth : bool
        The result gets a depth of its own, which takes more memory than the image's.

    Raises
    ------
    ConvcliError
        If the input does not fit into --memory, and its output cannot be written in parts; or if
        the output can be written in parts alone, and the input cannot be read so.
    """
    source = place_of(job.source_name)
    kind = None if source is None else kind_of(source)
    target = job.format or kind
    if isinstance(source, str) or is_url(job.target_name):
        if kind is None or target not in KINDS or job.target_name is None:
            raise ConvcliError(
                "is read from a URL, or written to one, where both it and its output are files of "
                "TIFF, .npy or zarr; copy other images first"
            )
        return kind
    in_parts_only = {kind, target} & (KINDS.keys() - FORMATS.keys())
    if source is None or kind is None:
        if in_parts_only:
            row_of(target or "ZARR")  # which refuses it
        return None
    assert isinstance(source, Path)
    writes_parts = target in KINDS and job.target is not None
    if in_parts_only and not writes_parts:
        raise ConvcliError(
            f"is {kind}, which is filtered in parts, and these are written to files of TIFF, .npy "
            "or zarr alone; name such an output with -o"
        )
    if in_parts_only:
        return kind
    needed = _needed(source, kind, has_depth)
    most = needed
    if asked is not None:
        most = _WITH_FLOATS * needed + _FOR_A_WORKER * workers
    if writes_parts and most > memory.bound(asked):
        return kind
    if asked is not None and needed > asked:
        raise ConvcliError(
            f"does not fit into --memory, and {target} is not written in parts; write TIFF, .npy "
            "or zarr instead (-o NAME.tif)"
        )
    return None


def may_be_whole(job: Job, asked: int | None, has_depth: bool = False) -> bool:
    """Return whether an input that could be filtered in parts may be read whole, if that is needed.

    Without --memory reading it refuses what does not fit.
    """
    source = place_of(job.source_name)
    if not isinstance(source, Path) or is_url(job.target_name):
        return False
    kind = kind_of(source)
    if kind not in FORMATS or (job.format or kind) not in FORMATS:
        return False
    return asked is None or _needed(source, kind, has_depth) <= asked


def _needed(source: Path, kind: str, has_depth: bool) -> int:
    return bytes_of(source, kind) * (DEEPER if has_depth else 1)


def place_of(name: str | None) -> Path | str | None:
    """Return a path, or a URL as it is."""
    return name if name is None or is_url(name) else Path(name)


def kind_of(path: Path | str) -> str | None:
    """Return which kind of the table a file or folder is, by its content."""
    if isinstance(path, str):
        from convcli.sources.remote import beginning

        start = beginning(path, 6)
        return "ZARR" if start is None else _SIGNATURES.get(start, _SIGNATURES.get(start[:4]))
    if os.path.isdir(path):
        return "ZARR" if is_store(path) else None
    try:
        with path.open("rb") as file:
            start = file.read(6)
    except OSError:  # reading reports it
        return None
    return _SIGNATURES.get(start, _SIGNATURES.get(start[:4]))


def bytes_of(source: Path, kind: str) -> int:
    """Return the least bytes that filtering the whole image at once would take."""
    if kind != "TIFF":
        return _HELD * source.stat().st_size
    from convcli.image.tiff_layout import layouts

    try:
        pages = layouts(source)
    except (ConvcliError, OSError):  # which reading reports
        return 0
    # Pillow holds colours in four bytes a pixel.
    return _HELD * max(
        page.width * page.height * max(page.samples, 4 * (page.samples > 1))
        * math.ceil(max(page.bits, default=8) / 8)
        for page in pages
    )  # fmt: skip

"""An image's way through a bank of kernels: its channels as floats, and its maps into files."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from convcli import image
from convcli.banks.maps import Maps, as_bytes, largest_of
from convcli.batch.pipeline import Several
from convcli.errors import ConvcliError
from convcli.files.job import part_of
from convcli.filtering.options import Options
from convcli.image import Picture
from convcli.image.headers import OnDecode, Stated
from convcli.image.mosaic import contact_sheet
from convcli.pixels.colour import luminance
from convcli.types import Floats, Pixels
from convcli.words import MapDepth


def read(
    source: Path | bytes,
    _target_format: str | None = None,
    *,
    maps: Maps,
    on_decode: OnDecode | None = None,
) -> Picture:
    """Read an image with all its bits; `convcli.image.read` with other parameters bound.

    Raises
    ------
    ConvcliError
        If it has several frames or pages, besides the reasons of `convcli.image.read`.
    """

    def take(size: int, stated: Stated) -> None:
        # The size of image and result is at least two bytes a pixel, and a map takes four and one.
        if on_decode:
            on_decode(int(size * max(1.0, 2.5 * len(maps.names) / maps.stride**2)), stated)

    is_grey = maps.channels == 1
    # Whatever a map is written as, TIFF holds all that is read.
    picture = image.read(
        source, "TIFF", grey="L" if is_grey else None, luma=is_grey, on_decode=take
    )
    if picture.frames > 1:
        if isinstance(picture.later, Generator):
            picture.later.close()  # and so the file
        raise ConvcliError(
            f"has {picture.frames} frames or pages; save the one to use as an image of its own"
        )
    return picture


def made(
    samples: Any, *, maps: Maps, mosaic: bool, depth: MapDepth, **options: Unpack[Options]
) -> Several:
    """Return the maps of an image as images, or a contact sheet of them."""
    colours, notes = np.asarray(samples), []
    colours = colours[..., np.newaxis] if colours.ndim == 2 else colours
    if options.get("alpha", "straight") != "straight":
        colours = colours[..., :-1]
        notes.append("left out its alpha")
    channels = _channels(colours, is_grey=maps.channels == 1)
    found = maps.of(
        channels,
        workers=options.get("workers"),
        on_plan=options.get("on_plan"),
        on_done=options.get("on_progress") or (lambda _done, _total: None),
    )
    if depth == "float32":
        return Several([each.astype(np.float32, copy=False) for each in found], tuple(notes))
    shown, scale = as_bytes(found, maps.is_signed, largest_of([channels]))
    if mosaic:
        shown = [contact_sheet(shown, maps.names, maps.row)]
    return Several(shown, (*notes, scale))


def _channels(colours: Pixels, is_grey: bool) -> Floats:
    """Return channels ``(C, H, W)`` in the image's own units: float64 for float64, else float32."""
    dtype = np.float64 if colours.dtype == np.float64 else np.float32
    floats: Floats = colours.astype(dtype, copy=False)
    return np.moveaxis(luminance(floats) if is_grey else floats, 2, 0)


def write(
    picture: Picture,
    target: Any,
    format_name: str,
    *,
    names: tuple[str, ...],
    keeps: bool,
    write: Callable[..., tuple[str, ...]],
    **settings: Any,
) -> tuple[str, ...]:
    """Write each map to a file of its own.

    Parameters
    ----------
    picture, target, format_name
        As for `convcli.image.write`; the target is a path, into which the name of a map is put.
    names : tuple of str
        Names of the maps.
    keeps : bool
        Leave files that exist as they are.
    write : callable
        `convcli.image.write` with its settings bound; the other settings are passed to it.
    """
    notes: dict[str, None] = {}
    for name, each in zip(names, picture.all_frames(), strict=True):
        path = Path(part_of(os.fspath(target), name))
        if not (keeps and os.path.lexists(path)):
            alone = replace(each, frames=1, later=())
            notes |= dict.fromkeys(write(alone, path, format_name, **settings))
    return tuple(notes)

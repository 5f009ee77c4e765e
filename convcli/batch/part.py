"""The part of an image that is filtered, where the kind of image or its file matters."""

from __future__ import annotations

from functools import partial

from convcli.errors import ConvcliError
from convcli.files.formats import LOSSY, meaning
from convcli.filtering.options import Options
from convcli.filtering.part import share_of
from convcli.image.headers import Stated
from convcli.image.picture import form_of, kind_of
from convcli.pixels.mask import check_size_of, shared_by
from convcli.pixels.part import (
    LUMA,
    channel_names,
    channel_numbers,
    check_all_inside,
    check_either_way,
    rectangles,
)


def channels_of(named: str, mode: str) -> str | tuple[int, ...]:
    """Return the channels of an image of this mode that a text names: "luma", or their numbers."""
    kind, count = kind_of(mode), form_of(mode)[0]
    is_luma = channel_names(named) == (LUMA,)
    if kind == "Y" and is_luma:
        return (0,)
    if kind == "Y":
        raise ConvcliError(
            f"is a video in luma and chroma, and has no channels {named}; --channels luma filters "
            "its luma alone"
        )
    if is_luma and kind == "LAB":
        return (0,)  # its lightness
    if is_luma and (kind == "CMYK" or kind.isdigit()):
        raise ConvcliError(
            f"has {meaning(mode)}, and so no luminance; name some of its channels, or convert it "
            "to RGB"
        )
    if is_luma:
        return LUMA
    own = [str(number) for number in range(1, count + 1)] if kind.isdigit() else kind.lower()
    return channel_numbers(named, own)


def check_fits(options: Options, stated: Stated) -> None:
    """Refuse an image that lacks the region, the size of the mask, or the channels that are named.

    An image that may still be turned is refused if it fits neither way.
    """
    named = options.get("channels")
    if isinstance(named, str) and stated.mode is not None:
        channels_of(named, stated.mode)
    check_either_way(partial(_check_size, options), stated.size, stated.may_turn)


def _check_size(options: Options, size: tuple[int, int]) -> None:
    if (region := options.get("region")) is not None:
        check_all_inside(region, size)
    if (mask := options.get("mask")) is not None:
        check_size_of(mask, size)


def note_on(options: Options, format_name: str) -> tuple[str, ...]:
    """Say of an image of which nothing is filtered that it is written all the same."""
    mask, region = options["mask"], options.get("region")
    pieces = [mask] if region is None else [mask[each.at] for each in rectangles(region)]
    if any(piece.any() for piece in pieces):
        return ()
    again = "; encoding it again changes it a little" if format_name in LOSSY else ""
    return (f"filtered nothing, because the mask is black{again}",)


def chroma_options(options: Options, size: tuple[int, int], shares: tuple[int, int]) -> Options:
    """Return the options for chroma, of which a sample stands for several pixels of the image."""
    share = share_of(size, options.get("region"), options.get("mask"))
    own = Options(**options)
    own["region"], own["mask"] = None, shared_by(share, shares)
    return own

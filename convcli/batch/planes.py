"""Images filtered plane by plane: bands, and video in brightness (Y) and differences (Cb, Cr)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convcli.filtering.options import Options
from convcli.image import Picture
from convcli.pixels.rounding import store
from convcli.types import Pixels

Verb = Callable[..., Pixels]


@dataclass(frozen=True)
class Planes:
    """How a filter goes over planes.

    Attributes
    ----------
    verb_for : callable
        ``verb_for(None)``: the filter for the luma. ``verb_for((across, down))``: that for chroma
        of which a sample stands for so many columns and rows of the image; None if there is none.
    is_grey : bool
        The result has no colour.
    keeps_level : bool
        A constant added to the samples is added to the result and does nothing else; in one
        without colour it does nothing at all.
    fills_range : bool
        The result fills the range of the samples, as an angle does.
    """

    verb_for: Callable[[tuple[int, int] | None], Verb | None]
    is_grey: bool = False
    keeps_level: bool = False
    fills_range: bool = False


_LUMA_ALONE = (
    "filtered only its luma: a kernel cannot be scaled to subsampled chroma, and --stretch is for "
    "brightness"
)


def filtered(frame: Picture, how: Planes, options: Options) -> Picture:
    """Filter a frame of video.

    A blur is as wide in the chroma as in the luma, measured in pixels of the image: its sigma is
    divided by the columns and rows that share a sample. Code values count from black, and those of
    chroma from no colour.
    """
    video = frame.encoding["video"]
    most = (1 << video.bits) - 1
    luma_alone = not isinstance(options["channels"], bool)
    options = Options(**{**options, "channels": True})
    luma = _plane(frame.pixels, how, how.verb_for(None), video.black, most, options)
    notes, chroma = frame.notes, frame.frame["chroma"]
    if chroma and _is_part(options):
        from convcli.batch import part

        options = part.chroma_options(options, frame.pixels.shape, video.shared)
    if luma_alone:
        pass
    elif how.is_grey:
        chroma = [_without_colour(plane, video.grey, options) for plane in chroma]
    elif chroma and (verb := how.verb_for(video.shared)):
        options = Options(**{**options, "border_value": 0.0})
        chroma = [_plane(plane, how, verb, video.grey, most, options) for plane in chroma]
    elif chroma:
        notes = (*notes, _LUMA_ALONE)
    return replace(frame.with_pixels(luma), frame={**frame.frame, "chroma": chroma}, notes=notes)


def _is_part(options: Options) -> bool:
    return options.get("region") is not None or options.get("mask") is not None


def _without_colour(plane: Pixels, grey: int, options: Options) -> Pixels:
    """Return chroma that has no colour, where that is asked for."""
    nothing = np.full_like(plane, grey)
    if not _is_part(options):
        return nothing
    from convcli.filtering.part import chosen

    return chosen(plane, nothing, options["region"], options["mask"])


def _plane(
    plane: Pixels, how: Planes, verb: Verb | None, level: int, most: int, options: Options
) -> Pixels:
    """Filter a plane whose samples count from a level, up to the most."""
    assert verb
    if _is_part(options) and (how.is_grey or how.fills_range):  # outside, black is another sample
        from convcli.filtering.part import chosen

        whole_image = Options(**{**options, "region": None, "mask": None})
        made = _plane(plane, how, verb, level, most, whole_image)
        return chosen(plane, made, options["region"], options["mask"])
    given: dict[str, Any] = {**options, "alpha": "straight"}
    nodata = given.get("nodata")
    if how.fills_range:
        whole = verb(plane, **given)
        return np.asarray(whole >> (8 * whole.itemsize - most.bit_length()))
    anywhere = how.keeps_level and given.get("border") != "constant"
    if how.is_grey and anywhere and nodata is None:
        # Derivatives, which no level changes, begin at black.
        room = plane.dtype.type(most - level)
        return np.asarray(np.minimum(verb(plane, **given), room) + plane.dtype.type(level))
    if level == 0 or (anywhere and not how.is_grey):
        return np.asarray(np.minimum(verb(plane, **given), plane.dtype.type(most)))
    if nodata is not None:
        given["nodata"] = nodata - level  # a code value, as the samples are
    floats = verb(plane.astype(np.float32) - np.float32(level), **given)
    if how.is_grey:  # as integers, they have no negative half
        np.maximum(floats, 0, out=floats)
    floats += np.float32(level)
    result = np.empty(floats.shape, plane.dtype)
    store(floats, result)
    return np.asarray(np.minimum(result, plane.dtype.type(most)))


def band_by_band(verb: Callable[..., Any], samples: Any, **options: Any) -> Pixels:
    """Filter each band of an image by itself, as an image of one channel."""
    first, *others = np.moveaxis(np.asarray(samples), -1, 0)
    own = [options] * (1 + len(others))
    if not isinstance(options["channels"], bool):
        own = [_of_band(options, number) for number in range(len(own))]
    result = verb(np.ascontiguousarray(first), **own[0])
    results = np.empty((*result.shape, 1 + len(others)), result.dtype)
    results[..., 0] = result
    for number, band in enumerate(others, 1):
        results[..., number] = verb(np.ascontiguousarray(band), **own[number])
    return results


def _of_band(options: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the options for a band of which nothing is filtered if it is not named."""
    own = {**options, "channels": True}
    return own if number in options["channels"] else {**own, "region": ()}

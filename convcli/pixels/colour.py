"""Colour on its way into a filter and out of it: light, luminance and alpha, a tile at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from convcli.pixels.source import ArraySource, Source
from convcli.pixels.transfer import SRGB, Transfer, to_code, to_light
from convcli.types import Floats, Pixels
from convcli.words import Alpha

ROUNDING = 4e-6
"""Of the full scale: what may be nothing but the rounding of a float32 sum. It is a thousandth of
an 8-bit level, and ten times the largest error seen in sums of a unit L1 norm."""

# Rec. ITU-R BT.601 luma, which is also what Pillow's mode L is.
_LUMA = (0.299, 0.587, 0.114)


class ColourUse(NamedTuple):
    """What a filter wants of colour.

    Attributes
    ----------
    channels : {"every", "colours", "luminance"}
        What it filters: every channel, alpha as well; the colours, so that an alpha stays as it
        is; or the luminance alone, which gives one channel.
    gives_light : bool
        Whether its result is light, to be encoded again after a filter in linear light. An angle
        is not.
    """

    channels: Literal["every", "colours", "luminance"] = "every"
    gives_light: bool = True


EVERY_CHANNEL = ColourUse()
"""What most filters want."""


@dataclass(frozen=True)
class Colour:
    """What a filter does to samples before and after its kernels.

    Attributes
    ----------
    full : float
        The sample value of full intensity or opacity: 255, 65535, or 1 for floats.
    linear : bool
        Filter light: decode it on the way in, encode it on the way out.
    encode : bool
        Whether the result is light, which is encoded again; an angle is not.
    grey : bool
        Filter the luminance alone.
    alpha : bool
        The last channel is alpha.
    weight : bool
        Weight the colours by alpha, so that the colour of transparent pixels does not bleed.
    keep_alpha : bool
        Give the result the image's own alpha.
    kernel_sum : float
        The sum of the kernel, which the filtered alpha is divided by; 0 for a derivative,
        whose response has no weight of its own.
    transfer : Transfer
        What light is decoded and encoded with.
    turn : float
        The result is an angle, of which a full turn from -pi to pi is spread over 0 to this; 0
        leaves radians.
    multiplied : bool
        Colours come in multiplied by alpha and go out so, between the stages of a chain; `weight`
        is set, too.
    """

    full: float
    linear: bool = False
    encode: bool = True
    grey: bool = False
    alpha: bool = False
    weight: bool = False
    keep_alpha: bool = False
    kernel_sum: float = 1.0
    transfer: Transfer = SRGB
    turn: float = 0.0
    multiplied: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether samples go in and out as they are."""
        return not (self.linear or self.grey or self.weight or self.keep_alpha)


def colour_for(
    use: ColourUse,
    image: tuple[int, np.dtype[Any]],
    alpha: Alpha,
    linear: bool | Transfer,
    kernel_sum: float,
) -> Colour:
    """Turn what a filter wants of colour, and what its caller wants, into what is done.

    Parameters
    ----------
    use : ColourUse
        The filter's.
    image : (int, dtype)
        Channels of the image, and their samples. The last of 2 or 4 channels is an alpha, unless
        `alpha` is "straight" and every channel is filtered.
    alpha : {"weight", "straight", "keep"}
        What an alpha does.
    linear : bool or Transfer
        Whether to filter light, and a transfer function other than that of sRGB.
    kernel_sum : float
        0 for a derivative, which has no weight to divide an alpha by: the image keeps its alpha.
    """
    channels, dtype = image
    grey = use.channels == "luminance"
    has_alpha = channels in (2, 4) and (grey or alpha != "straight")
    keeps = {
        "every": alpha == "keep" or kernel_sum == 0,
        "colours": True,
        "luminance": alpha == "keep",
    }
    return Colour(
        full=full_scale(dtype),
        linear=bool(linear),
        encode=use.gives_light,
        grey=grey and channels > 1,
        alpha=has_alpha,
        weight=has_alpha and alpha == "weight",
        keep_alpha=has_alpha and keeps[use.channels],
        kernel_sum=kernel_sum,
        transfer=linear if isinstance(linear, Transfer) else SRGB,
    )


def full_scale(dtype: np.dtype[Any]) -> float:
    """Return the sample value of full intensity: 255, 65535, or 1 for floats."""
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


def is_opaque(source: Source) -> bool:
    """Say whether an image has full alpha everywhere; of some sources that is not known."""
    full, known = full_scale(source.dtype), getattr(source, "is_opaque", None)
    if known is not None:  # of a piece of an image
        return bool(known)
    if isinstance(source, ArraySource):
        return bool((source.array[..., -1] == full).all())
    ends_with = getattr(source, "ends_with", None)
    return bool(ends_with and ends_with(full))


def result_channels(colour: Colour, channels: int) -> int:
    """Return how many channels an image has after the filter."""
    return channels if not colour.grey else 2 if colour.alpha and colour.keep_alpha else 1


def samples(colour: Colour, window: Pixels, accumulator: np.dtype[np.floating]) -> Floats:
    """Take a window's samples to floats, in light if asked, alpha still straight."""
    if not colour.linear:
        return window.astype(accumulator, order="C")
    colours = window[..., :-1] if colour.alpha else window
    values = np.empty(window.shape, accumulator)
    # Floats in the sums' dtype, whose range they leave room in (`convcli.running.ranges`).
    code = colours if colours.dtype.kind == "u" else colours.astype(accumulator, copy=False)
    values[..., : colours.shape[2]] = to_light(colour.transfer, code, colour.full)
    if colour.alpha:
        values[..., -1] = window[..., -1]
    return values


def weighted(colour: Colour, values: Floats) -> Floats:
    """Reduce to luminance and multiply by alpha, as the filter asks."""
    alpha = values[..., -1:] if colour.alpha else None
    if colour.grey:
        colours = values[..., :-1] if colour.alpha else values
        values = luminance(colours)
    if not colour.weight or alpha is None or colour.multiplied:
        return values
    product = _times_alpha(values, alpha, colour)
    if not colour.grey:
        product[..., -1:] = alpha
    return product


def _times_alpha(values: Floats, alpha: Floats, colour: Colour) -> Floats:
    """Multiply by alpha, where 0 leaves nothing, of NaN and infinity neither: floats have these."""
    product: Floats = values * (alpha / colour.full)
    if colour.full == 1:
        product[np.broadcast_to(alpha == 0, product.shape)] = 0
    return product


def unweighted(colour: Colour, filtered: Floats) -> Floats:
    """Divide filtered colours by filtered alpha: ``K(c a) / K(a)``, times the kernel's sum.

    Where all that the kernel covers is transparent there is no colour, and the result is 0. In an
    opaque region the result is what it would have been without any alpha.
    """
    if colour.grey or not colour.weight or colour.kernel_sum == 0:
        return filtered
    return straight(filtered, filtered[..., -1:] / colour.kernel_sum, colour)


def straight(filtered: Floats, alpha: Floats, colour: Colour) -> Floats:
    """Divide colours by an alpha, which becomes theirs; without any there is no colour: 0."""
    seen = alpha > colour.full * ROUNDING
    scale = np.divide(colour.full, alpha, out=np.zeros_like(alpha), where=seen)
    result: Floats = filtered * scale
    result[..., -1:] = alpha
    return result


def finished(colour: Colour, result: Floats, centre: Floats) -> Floats:
    """Go back to code values and put the image's own alpha back, as the filter asks.

    `centre` holds the samples of the image itself, as `samples` gave them.
    """
    if colour.linear and colour.encode:
        if colour.alpha and not colour.grey:
            result[..., :-1] = to_code(colour.transfer, result[..., :-1], colour.full)
        else:
            result = to_code(colour.transfer, result, colour.full)
    if colour.turn:
        result = (result + math.pi) * (colour.turn / (2 * math.pi))
    if colour.keep_alpha:
        if colour.grey:
            result = np.concatenate([result, centre[..., -1:]], axis=2)
        else:
            result[..., -1] = centre[..., -1]
    if colour.multiplied and colour.alpha and not colour.grey:
        result[..., :-1] = _times_alpha(result[..., :-1], result[..., -1:], colour)
    return result


# BLAS sums the last of many pixels in another order, unless these are groups of so many. It divides
# more than 3,000 among threads.
_GROUP = 16
_SUMMED = 2048


def luminance(colours: Floats) -> Floats:
    """Reduce (h, w, 3) to (h, w, 1) by BT.601; other channel counts use the first channel.

    That of a pixel does not depend on where it is.
    """
    height, width, channels = colours.shape
    if channels < 3:
        return colours[..., :1]
    weights = np.array(_LUMA, colours.dtype)
    pixels = colours.reshape(-1, channels)[:, :3]
    apart = pixels.strides[0] // pixels.itemsize  # by which BLAS chooses how to sum, too
    if apart > channels + 1:  # neither all channels of an image, nor all but an alpha
        return luminance(np.ascontiguousarray(colours))
    result = np.empty(len(pixels), colours.dtype)
    whole = len(pixels) // _SUMMED * _SUMMED
    np.matmul(
        pixels[:whole].reshape(-1, _SUMMED, 3), weights, out=result[:whole].reshape(-1, _SUMMED)
    )
    if rest := len(pixels) - whole:
        last = np.zeros((-(-rest // _GROUP) * _GROUP, apart), colours.dtype)[:, :3]
        last[:rest] = pixels[whole:]
        result[whole:] = (last @ weights)[:rest]
    return result.reshape(height, width, 1)

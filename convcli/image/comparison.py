"""Comparing two images: largest and mean difference, PSNR, SSIM, a histogram."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise

import numpy as np

from convcli.errors import reason_of
from convcli.image import Picture
from convcli.image.picture import WITH_ALPHA
from convcli.pixels.colour import full_scale
from convcli.types import Floats, Pixels

# Samples that are compared at a time, to avoid float64 copies of whole images. The C library
# returns arrays of 32 MB and more to the system at once, and clearing new pages takes longer than
# all sums.
_BAND_SAMPLES = 2**20

# Modes without alpha, and the same with alpha.
_ALPHA_ADDED = {"L": "LA", "RGB": "RGBA", "I;16": "LA;16", "RGB;16": "RGBA;16"}

# Bars of the histogram besides the one for equal samples.
_BARS = 8

# Side of the window: Wang, Bovik, Sheikh, Simoncelli, Image Quality Assessment (IEEE TIP 13, 2004),
# weight 11 x 11 pixels by a Gaussian of sigma 1.5.
_SSIM_SIDE = 11


@dataclass(frozen=True)
class Bin:
    """The number of samples that differ by at least `low` and less than `high`.

    The first bar, from 0 to 0, counts equal samples.
    """

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Comparison:
    """How two images of one size and mode differ, in the units of their samples.

    Attributes
    ----------
    width, height, mode
        Those of both images.
    peak : float
        The full range for PSNR and SSIM: 255 or 65535. For floats and 32-bit integers it is the
        range of the samples of both images, or 1 if all lie within 0 to 1 or all are equal.
    largest, mean : float
        Largest and mean absolute difference of samples; infinite if only one of two samples is
        not a number.
    differing : int
        Pixels in which any channel differs.
    beyond : int
        Pixels in which any channel differs by more than the tolerance.
    psnr : float
        ``10 log10(peak**2 / mean squared difference)`` in dB; infinite for equal images.
    ssim : float or None
        Mean structural similarity; None for the reason in `no_ssim`.
    no_ssim : str
        Why `ssim` is None; empty otherwise.
    histogram : list of Bin
        The number of differences of each size, from 0 to the largest.
    """

    width: int
    height: int
    mode: str
    peak: float
    largest: float
    mean: float
    differing: int
    beyond: int
    psnr: float
    ssim: float | None
    no_ssim: str
    histogram: list[Bin]


def alike(one: Picture, other: Picture) -> tuple[Picture, Picture] | None:
    """Add alpha to an image if only the other has it; return None if the modes still differ."""
    if one.mode == other.mode:
        return one, other
    if _ALPHA_ADDED.get(one.mode) == other.mode:
        return _opaque(one), other
    if _ALPHA_ADDED.get(other.mode) == one.mode:
        return one, _opaque(other)
    return None


def _opaque(picture: Picture) -> Picture:
    """Add an opaque alpha channel."""
    full = full_scale(picture.pixels.dtype)
    colours = np.atleast_3d(picture.pixels)
    alpha = np.full((*colours.shape[:2], 1), full, colours.dtype)
    return picture.with_pixels(np.concatenate([colours, alpha], axis=2))


@np.errstate(all="ignore")  # samples may be infinite or NaN
def compare(one: Picture, other: Picture, tolerance: float = 0.0) -> Comparison:
    """Measure how much two images of one size and mode differ.

    Parameters
    ----------
    one, other : Picture
        Only their first frames are compared.
    tolerance : float
        The largest difference of samples, in their units, that counts as equal; 0 or more.

    Returns
    -------
    Comparison
    """
    a, b = (np.atleast_3d(picture.pixels) for picture in (one, other))
    peak = _peak(a, b)
    limits = _limits(one.mode, peak)
    lows = limits[:-1]
    largest = total = squares = 0.0
    differing = beyond = 0
    reached = np.zeros(len(lows), np.int64)
    for _, difference in _differences(a, b):
        largest = max(largest, float(difference.max()))
        total += float(difference.sum())
        squares += float(np.square(difference).sum())
        of_pixel = difference.max(axis=2)
        differing += int(np.count_nonzero(of_pixel))
        beyond += int(np.count_nonzero(of_pixel > tolerance))
        reached += [np.count_nonzero(difference >= low) for low in lows]
    ssim, no_ssim = (1.0, "") if largest == 0 else _similarity(a, b, peak, largest)
    return Comparison(
        width=a.shape[1],
        height=a.shape[0],
        mode=one.mode,
        peak=peak,
        largest=largest,
        mean=total / a.size,
        differing=differing,
        beyond=beyond,
        psnr=_psnr(squares / a.size, peak),
        ssim=ssim,
        no_ssim=no_ssim,
        histogram=_bars(limits, reached.tolist(), a.size),
    )


@np.errstate(all="ignore")
def amplified(one: Picture, other: Picture, found: Comparison) -> tuple[Picture, int]:
    """Draw the differences, amplified.

    Parameters
    ----------
    one, other : Picture
        As for `compare`.
    found : Comparison
        The result of `compare`.

    Returns
    -------
    Picture
        8-bit L or RGB, black where the images are equal. Differences of alpha are grey; for CMYK
        and LAB the largest difference of the channels is shown.
    int
        The factor: the largest integer that clips at most one in a hundred of the samples that
        differ.
    """
    a, b = (np.atleast_3d(picture.pixels) for picture in (one, other))
    factor = max(1, int(found.peak / (_usual(found) or math.inf)))
    in_colour = one.mode.startswith("RGB")
    pixels = np.empty((*a.shape[:2], 3) if in_colour else a.shape[:2], np.uint8)
    for rows, difference in _differences(a, b):
        if not in_colour:
            part = difference.max(axis=2)
        elif one.mode in WITH_ALPHA:
            part = np.maximum(difference[..., :3], difference[..., 3:])
        else:
            part = difference
        pixels[rows] = np.rint(np.minimum(part * (255 * factor / found.peak), 255))
    return Picture(pixels, "RGB" if in_colour else "L", "PNG"), factor


def _usual(found: Comparison) -> float:
    """Return a bound on 99 % of the differences that are not 0, from the histogram."""
    unequal = found.histogram[1:]
    left = 0.99 * sum(bar.count for bar in unequal)
    for bar in unequal:
        left -= bar.count
        if left <= 0:
            # For integers the limit itself belongs to the next bar.
            high = bar.high - 1 if bar.low >= 1 else bar.high
            return min(found.largest, high)
    return found.largest


@np.errstate(all="ignore")
def differs(one: Picture, other: Picture, tolerance: float = 0.0) -> bool:
    """Return whether images differ in size, in mode, or in a sample by more than the tolerance."""
    if one.pixels.shape[:2] != other.pixels.shape[:2]:
        return True
    pair = alike(one, other)
    if pair is None:
        return True
    a, b = (np.atleast_3d(picture.pixels) for picture in pair)
    return any(bool((difference > tolerance).any()) for _, difference in _differences(a, b))


def _differences(a: Pixels, b: Pixels) -> Iterator[tuple[slice, Floats]]:
    """Yield absolute differences, a band of rows at a time; NaN equals NaN, inf equals inf."""
    height = _band_rows(a)
    for top in range(0, len(a), height):
        rows = slice(top, top + height)
        x, y = a[rows].astype(np.float64), b[rows].astype(np.float64)
        with np.errstate(invalid="ignore"):
            difference = np.abs(x - y)
        if not np.isfinite(difference).all():
            difference[(x == y) | (np.isnan(x) & np.isnan(y))] = 0
            difference[np.isnan(difference)] = np.inf
        yield rows, difference


def _band_rows(a: Pixels) -> int:
    return max(1, _BAND_SAMPLES // int(a.shape[1] * a.shape[2]))


def _peak(a: Pixels, b: Pixels) -> float:
    """Return the full range of the samples."""
    if a.dtype.kind == "u":
        return full_scale(a.dtype)
    limits = [
        (float(known.min()), float(known.max()))
        for known in (pixels[np.isfinite(pixels)] for pixels in (a, b))
        if known.size
    ]
    low = min((low for low, _ in limits), default=0.0)
    high = max((high for _, high in limits), default=1.0)
    # If all samples are equal their range is 0, and cannot serve as the full range.
    return 1.0 if low >= 0 and high <= 1 else high - low or 1.0


def _psnr(mean_square: float, peak: float) -> float:
    if mean_square == 0:
        return math.inf
    # Two logarithms, as the square of a large range overflows.
    return 20 * math.log10(peak) - 10 * math.log10(mean_square)


def _limits(mode: str, peak: float) -> list[float]:
    """Return the limits of the bars: a geometric series, open at both ends for floats."""
    if mode == "F":
        return [math.ulp(0.0), *(peak * 10.0**n for n in range(1 - _BARS, 0)), math.inf]
    base = 16 if mode == "I" else 4 if mode.endswith(";16") else 2
    return [float(base**n) for n in range(_BARS + 1)]


def _bars(limits: list[float], reached: list[int], samples: int) -> list[Bin]:
    """Make bars of the numbers of samples that reach each limit, up to the last that is reached."""
    bars = [Bin(0.0, 0.0, samples - reached[0])]
    for (low, high), here, beyond in zip(pairwise(limits), reached, [*reached[1:], 0], strict=True):
        if here:
            bars.append(Bin(low, high, here - beyond))
    return bars


def _similarity(a: Pixels, b: Pixels, peak: float, largest: float) -> tuple[float | None, str]:
    """Return the mean structural similarity, or None and the reason."""
    if not math.isfinite(largest):
        return None, "not defined for samples that are not finite"
    rows, columns = a.shape[:2]
    if min(rows, columns) < _SSIM_SIDE:
        return None, f"not defined for images below {_SSIM_SIDE} x {_SSIM_SIDE} pixels"
    if find_spec("skimage") is None:
        return None, "needs the package scikit-image; pip install scikit-image"
    try:
        from skimage.metrics import structural_similarity
    except Exception as error:  # a package may raise any kind
        return None, f"scikit-image cannot be imported ({reason_of(error)})"
    halo = _SSIM_SIDE - 1
    height = max(_band_rows(a), 4 * halo)
    total = 0.0
    # Pixels within half a window of the edge do not count, so bands that overlap by a window give
    # the same result as the whole image, in a tenth of the memory.
    for top in range(0, rows - halo, height):
        x, y = (p[top : top + height + halo].astype(np.float64) for p in (a, b))
        mean = structural_similarity(
            x,
            y,
            data_range=peak,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        total += float(mean) * (len(x) - halo)
    return total / (rows - halo), ""
